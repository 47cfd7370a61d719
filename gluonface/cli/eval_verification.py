"""`gluonface eval verification`: accuracy, TAR at FAR and ROC on pairs of faces."""

import argparse
import re

from . import _pair_options, eval_common
from ._network_options import add_network_options

__all__ = ["add_arguments", "run"]

FLIPS = {
    "none": ("none",),
    "sum": ("sum",),
    "concat": ("concat",),
    "both": ("none", "sum"),
    "all": ("none", "sum", "concat"),
}


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description += """

The table on standard output has one row per pack and flip form. TAR is strict: the
false-accept rate does not exceed the one named. The threshold is the mean over the folds: a
cosine, and the same as the reference has it, a squared distance. Each pack and form is
evaluated on its own.

Pairs may come in any form: a pack, compressed or not, a list of pairs with --root, the folder,
zip or tar of CFP, RFW, SurvFace, AgeDB or LFW as published, CVLface's Arrow folders, decoded
pixels. Images that are not 112x112 are an error, unless they are in a pack or --resize is given."""
    parser.add_argument(
        "--model",
        nargs="+",
        metavar="SOURCE",
        help="a run folder, an exported prefix, a .onnx file, NAME:FILE.params, or NAME:untrained "
        "for a baseline; several are compared in one table. With --embeddings: the model that "
        "must have made them",
    )
    parser.add_argument("--layer", metavar="NAME", help=eval_common.LAYER)
    parser.add_argument(
        "--pack",
        nargs="+",
        metavar="PATH",
        help="verification packs, or pairs in any other form; each is evaluated on its own",
    )
    parser.add_argument(
        "--pairs",
        nargs="+",
        metavar="PATH",
        help="lists or packs that are one set together, such as the four of RFW",
    )
    _pair_options.add_pair_options(parser)
    parser.add_argument(
        "--resize", action="store_true", help="scale images of other sizes to 112x112"
    )
    parser.add_argument(
        "--groups",
        nargs="*",
        metavar="COLUMN",
        help="error rates by group at one threshold for all groups. Without a value: the groups "
        "that the pairs have. One column of the pairs' groups or two of the images' (as --group), "
        "or a .csv file with a header. It has one line for each pair (group, or group1 and "
        "group2), for each image (path, group), or for each person (identity, group)",
    )
    parser.add_argument(
        "--fmrs",
        type=float,
        nargs="+",
        metavar="FMR",
        help="false match rates over all pairs that set the threshold of --groups (default: those "
        "of 0.001 and 0.0001 that the number of different pairs supports)",
    )
    parser.add_argument(
        "--embeddings",
        nargs="+",
        metavar="FILE.npz",
        help="instead of --model: stored outputs. Arrays e (2n, D) of the images "
        "a0 b0 a1 b1 ..., issame (n,), and for flip forms f (2n, D) of the mirrored images",
    )
    parser.add_argument(
        "--flip",
        choices=tuple(FLIPS),
        help="none: the image alone; sum: add the mirrored image's output, then normalise; "
        "concat: both side by side; both: none and sum; all: the three (default: both, or none "
        "for stored outputs without f)",
    )
    parser.add_argument(
        "--fars",
        type=float,
        nargs="+",
        metavar="FAR",
        help="false-accept rates for TAR, as fractions (default: those of 0.1 0.01 0.001 0.0001 "
        "that the number of different pairs supports)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=64, help="images per forward pass (default: 64)"
    )
    parser.add_argument(
        "--ctx", metavar="DEVICE", help="cpu, gpu0, gpu1, ... (default: a GPU if there is one)"
    )
    add_network_options(parser, "--model-color")  # --color is of the pairs
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=0,
        metavar="N",
        help="95 %% confidence intervals of accuracy and TAR from N draws of pairs",
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures as JSON")
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="write a page with ROC, histograms and the ten hardest errors, and its images",
    )


def run(args):
    """Evaluate, print the table, write what was asked for; return the exit status."""
    from ..errors import InputError
    from ..evaluation.report.worst_errors import pack_sides

    given = args.pack or args.pairs
    if bool(args.embeddings) == bool(given) and not (args.model and not args.embeddings):
        raise InputError("give either --model and --pack (or --pairs), or --embeddings")
    if not args.embeddings and not (args.model and given):
        raise InputError(f"--{'pack' if args.model else 'model'} is missing: both are needed")
    if args.fmrs is not None and args.groups is None:
        raise InputError("--fmrs sets the thresholds of --groups, which is missing")
    if args.embeddings:
        if args.groups and not _pair_options.is_file(args.groups):
            raise InputError("--groups of stored outputs: a .csv file with a line a pair")
        return finish(args, _evaluate_stored(args))
    results, packs, cards = _evaluate_models(args)
    logged = {note for pack in packs.values() for note in pack.notes}
    return finish(args, results, cards, pack_sides(packs), logged)


def finish(args, results, cards=None, sides=None, logged=()):
    """Log the notes, print the table, write JSON and reports. Returns the exit status.

    Parameters
    ----------
    args : argparse.Namespace
    results : list of VerificationResult
    cards : list of dict, optional
        Of the models. With several, each has its own folder below --report.
    sides : function, optional
        Shows both sides of a pair; see `worst_errors.pack_sides`.
    logged : set of str, optional
        Notes that were logged when the pairs were opened.
    """
    import logging
    import pathlib
    import sys

    from ..evaluation.report.report_folder import write_report
    from ..evaluation.results.evaluation_result import document
    from ..evaluation.results.group_tables import group_text
    from ..evaluation.results.verification_result import table
    from ..files import write_json

    flips = {}
    for result in results:  # most notes are about the pack: one warning, not one per flip form
        for note in (note for note in result.notes if note not in logged):
            flips.setdefault((result.pack, note), {})[result.flip] = True
    for (pack, note), some in flips.items():
        logging.getLogger(__name__).warning("%s, flip %s: %s", pack, ", ".join(some), note)
    sys.stdout.write(table(results) + "\n")
    for result in results:
        if result.groups is not None:
            sys.stdout.write(f"\n{group_text(result)}\n")
    card = cards[0] if cards and len(cards) == 1 else cards
    if args.json:
        write_json(eval_common.make_parent(args.json), document(results, card))
    if args.report and (card is None or card is not cards):
        write_report(args.report, results, card, sides, eval_common.command(args))
    elif args.report:
        folders = {}
        for one in cards:
            own = [result for result in results if result.model == one["source"]]
            name = re.sub(r"[^\w.-]+", "_", pathlib.Path(one["source"]).name)
            name = eval_common.unused_name(name, folders)
            place = pathlib.Path(args.report) / name
            folders[name] = write_report(place, own, one, sides, eval_common.command(args))
    return 0


def _evaluate_models(args):
    """Run the models over the packs; return (results, packs by name, model cards)."""
    import dataclasses

    from ..deploy import Embedder
    from ..evaluation.protocols import verification

    packs = {}
    # All of them before the first is evaluated: a wrong one costs no time.
    for path in [*(args.pack or []), *([args.pairs] if args.pairs else [])]:
        pack = _pair_options.open_pairs_of(args, path)
        pack.name = eval_common.unused_name(pack.name, packs)
        packs[pack.name] = pack
    ctx = args.ctx and re.sub(r"^gpu(\d+)$", r"gpu(\1)", args.ctx)
    options = {"precision": args.precision, "color": args.model_color, "output": args.layer}
    embedders = {source: Embedder.load(source, ctx, **options) for source in args.model}
    results = []
    for source, embedder in embedders.items():
        for pack in packs.values():
            found = verification.evaluate_pack(
                embedder,
                pack,
                FLIPS[args.flip or "both"],
                batch_size=args.batch_size,
                progress=True,
                fars=args.fars,
                draws=args.bootstrap,
                groups=pack.groups if args.groups is not None else None,
                fmrs=args.fmrs,
            )
            results += [dataclasses.replace(one, model=source) for one in found.values()]
    cards = [{**embedder.card, "source": source} for source, embedder in embedders.items()]
    return results, packs, cards


def _evaluate_stored(args):
    """Evaluate stored outputs."""
    import dataclasses
    import pathlib

    from ..evaluation.protocols import verification

    results, names = [], {}
    for path in args.embeddings:
        stored = verification.load_outputs(path)
        origin = stored["origin"]
        eval_common.check_origin(args, path, origin)
        name = eval_common.unused_name(stored["name"], names)
        names[name] = path
        flip = args.flip or ("none" if stored["f"] is None else "both")
        found = verification.evaluate_variants(
            stored["e"],
            stored["f"],
            stored["issame"],
            FLIPS[flip],
            10 if args.folds is None else args.folds,
            fars=args.fars,
            draws=args.bootstrap,
            groups=_pair_options.groups_of_stored(args, len(stored["issame"])),
            fmrs=args.fmrs,
        )
        inputs = {pathlib.Path(path).name: stored["file"]}
        results += [
            dataclasses.replace(
                result,
                name=name,
                pack_sha256=stored["sha256"],
                inputs=dict(inputs),
                model=origin and str(origin.model),
            )
            for result in found.values()
        ]
    return results
