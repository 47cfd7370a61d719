"""`gluonface eval verification`: accuracy, TAR at FAR and ROC on verification packs."""

import argparse
import re

from . import eval_common

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
false-accept rate does not exceed the one named. Thresholds are squared distances of unit
vectors, averaged over the folds. Each pack and form is evaluated on its own."""
    parser.add_argument(
        "--model",
        nargs="+",
        metavar="SOURCE",
        help="a run folder, an exported prefix, a .onnx file, NAME:FILE.params, or NAME:untrained "
        "for a baseline; several are compared in one table",
    )
    parser.add_argument("--pack", nargs="+", metavar="FILE.bin", help="verification packs")
    parser.add_argument(
        "--embeddings",
        nargs="+",
        metavar="FILE.npz",
        help="instead of --model and --pack: stored outputs. Arrays e (2n, D) of the images "
        "a0 b0 a1 b1 ..., issame (n,), and for flip forms f (2n, D) of the mirrored images",
    )
    parser.add_argument(
        "--flip",
        choices=tuple(FLIPS),
        help="none: the image alone; sum: add the mirrored image's output, then normalise; "
        "concat: both side by side; both: none and sum; all: the three (default: both, or none "
        "for stored outputs without f)",
    )
    parser.add_argument("--folds", type=int, default=10, help="contiguous folds (default: 10)")
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
        help="write a page with ROC, histograms and the ten hardest errors, and its pictures",
    )


def run(args):
    """Evaluate, print the table, write what was asked for; return the exit status."""
    import logging
    import sys

    from ..errors import InputError
    from ..evaluation.results import verification_result as named

    if bool(args.embeddings) == bool(args.model or args.pack):
        raise InputError("give either --model and --pack, or --embeddings")
    if not args.embeddings and not (args.model and args.pack):
        raise InputError(f"--{'pack' if args.model else 'model'} is missing: both are needed")
    if args.embeddings:
        results, packs, cards = _stored(args), {}, None
    else:
        results, packs, cards = _evaluate(args)
    said = {}
    for result in results:  # most notes are about the pack: say them once, not per row
        for note in result.notes:
            said.setdefault((result.pack, note), {})[result.flip] = True
    for (pack, note), flips in said.items():
        logging.getLogger(__name__).warning("%s, flip %s: %s", pack, ", ".join(flips), note)
    sys.stdout.write(named.table(results) + "\n")
    if args.json:
        from ..files import write_json

        one = cards[0] if cards and len(cards) == 1 else cards
        write_json(eval_common.writable(args.json), named.document(results, one))
    if args.report:
        _report(args.report, results, packs, cards)
    return 0


def _report(folder, results, packs, cards):
    """Write the report: one page, or one folder a model when several were compared."""
    import pathlib

    from ..evaluation.report.verification_report import write_report

    if not cards or len(cards) == 1:
        write_report(folder, results, packs, cards and cards[0])
        return
    folders = {}
    for card in cards:
        own = [result for result in results if result.model == card["source"]]
        name = re.sub(r"[^\w.-]+", "_", pathlib.Path(card["source"]).name)
        name = _unused(name, folders)
        folders[name] = write_report(pathlib.Path(folder) / name, own, packs, card)


def _evaluate(args):
    """Run the models over the packs; return (results, packs by name, model cards)."""
    import dataclasses

    from ..data import VerificationPack
    from ..deploy import Embedder
    from ..evaluation.protocols import verification

    packs = {}
    for path in args.pack:  # all of them before the first is evaluated: a wrong one costs no time
        pack = VerificationPack.load(path)
        pack.name = _unused(pack.name, packs)
        packs[pack.name] = pack
    ctx = args.ctx and re.sub(r"^gpu(\d+)$", r"gpu(\1)", args.ctx)
    embedders = {source: Embedder.load(source, ctx=ctx) for source in args.model}
    results = []
    for source, embedder in embedders.items():
        for pack in packs.values():
            found = verification.evaluate_pack(
                embedder,
                pack,
                FLIPS[args.flip or "both"],
                batch_size=args.batch_size,
                progress=True,
                folds=args.folds,
                fars=args.fars,
                draws=args.bootstrap,
            )
            results += [dataclasses.replace(one, model=source) for one in found.values()]
    cards = [{**embedder.card, "source": source} for source, embedder in embedders.items()]
    return results, packs, cards


def _stored(args):
    """Evaluate stored outputs."""
    import dataclasses
    import pathlib

    from ..evaluation.protocols import verification

    results, names = [], {}
    for path in args.embeddings:
        stored = verification.load_outputs(path)
        name = _unused(stored["name"], names)
        names[name] = path
        flip = args.flip or ("none" if stored["f"] is None else "both")
        found = verification.evaluate_variants(
            stored["e"],
            stored["f"],
            stored["issame"],
            FLIPS[flip],
            args.folds,
            fars=args.fars,
            draws=args.bootstrap,
        )
        results += [
            dataclasses.replace(
                result,
                pack=name,
                pack_sha256=stored["sha256"],
                inputs={pathlib.Path(path).name: stored["file"]},
            )
            for result in found.values()
        ]
    return results


def _unused(name, taken):
    """Return `name`, numbered when two files share it."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
