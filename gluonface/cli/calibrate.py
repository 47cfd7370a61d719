"""`gluonface calibrate`: thresholds with measured error rates, and likelihood ratios."""

from ._network_options import add_model
from .compare import add_reader_arguments

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    add_model(parser, required=True, help="the model that the calibration is of: {}")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--images",
        metavar="DIR",
        help="a folder for each person, with aligned crops of 112x112 (or photographs, with "
        "--detector): all pairs are compared",
    )
    source.add_argument(
        "--pack",
        nargs="+",
        metavar="FILE.bin",
        help="verification packs; they do not say who is on the pictures, so that intervals are "
        "those of independent pairs",
    )
    source.add_argument(
        "--scores",
        metavar="FILE.npz",
        help="scores of this model: arrays score and issame, and person_a and person_b if known",
    )
    parser.add_argument("--out", metavar="FILE", help="the calibration to write, JSON")
    parser.add_argument(
        "--add-to",
        metavar="CARD.json",
        help="write it into the model card beside the weights, where `gluonface compare` looks",
    )
    parser.add_argument(
        "--fmr",
        type=float,
        nargs="+",
        metavar="F",
        help="false match rates, as fractions (if not given, those of 0.1, 0.01, ... 1e-6 that "
        "the set supports)",
    )
    parser.add_argument("--name", help="of the set (if not given, that of the folder or file)")
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="write a page with the histogram, DET, likelihood ratios and their reliability",
    )
    parser.add_argument(
        "--group",
        metavar="CSV",
        help="lines PERSON,GROUP: the false match rate within each group, and a warning where two "
        "are more than three times apart",
    )
    parser.add_argument("--json", metavar="FILE", help="write the same as --out to FILE")
    add_reader_arguments(
        parser,
        "the images are crops. With --pack or --scores it only says what cut the faces out",
    )
    parser.add_argument("--batch-size", type=int, default=64, help="images per forward pass")


def run(args):
    """Calibrate, print, write; return the exit status."""
    import logging
    import pathlib
    import sys

    from ..errors import InputError
    from ..evaluation.results.tables import align_columns
    from ..files import write_json
    from ..recognition import Calibration
    from ..recognition.calibration_pairs import group_rates, pairs_of_files
    from ..recognition.calibration_report import calibration_rows, summary_rows, write_report
    from ..recognition.model_calibration import add_to_card
    from ._data_common import check_outputs

    if not (args.out or args.add_to or args.json):
        raise InputError("--out or --add-to is missing: where is the calibration to be written?")
    check_outputs(("--out", args.out), ("--json", args.json))
    if args.report:
        from .eval_common import make_parent

        make_parent(pathlib.Path(args.report) / "index.html")
    pairs = pairs_of_files(
        args.model,
        images=args.images,
        packs=args.pack,
        scores=args.scores,
        detector=args.detector or "none",
        flip=args.flip,
        turn=args.turn,
        smallest=args.smallest,
        name=args.name,
        batch_size=args.batch_size,
        ctx=args.ctx,
        progress=True,
    )
    for note in pairs.notes:
        logging.getLogger(__name__).warning("%s", note)
    calibration = Calibration.fit(
        pairs.score,
        pairs.issame,
        pairs.people,
        args.fmr,
        model=pairs.model,
        comparison=pairs.comparison,
        set=pairs.set,
        norm=pairs.norm,
    )
    if args.add_to:
        add_to_card(calibration, args.add_to)
    for path in filter(None, (args.out, args.json)):
        write_json(path, calibration.to_dict())
    sys.stdout.write(align_columns(calibration_rows(calibration)) + "\n\n")
    for name, value in summary_rows(calibration):
        sys.stdout.write(f"{name:<18} {value}\n")
    if args.group:
        _print_groups(group_rates(pairs, calibration, args.group))
    if args.report:
        write_report(args.report, calibration, pairs)
    return 0


def _print_groups(rates):
    """Print the false match rate within each group; warn where they are far apart."""
    import logging
    import sys

    from ..evaluation.results.tables import align_columns, rate_text

    rows = [["group", "FMR", "false matches", "of pairs"]]
    rows += [[n, rate_text(k / of) if of else "-", f"{k:,}", f"{of:,}"] for n, k, of in rates]
    sys.stdout.write("\n" + align_columns(rows) + "\n")
    known = [(k / of, name) for name, k, of in rates if of]
    if known and max(known)[0] > 3 * min(known)[0]:
        logging.getLogger(__name__).warning(
            "the false match rate of %s is more than three times that of %s: one threshold does "
            "not mean the same for both",
            max(known)[1],
            min(known)[1],
        )
