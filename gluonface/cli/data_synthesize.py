"""`gluonface data synthesize`: draw a synthetic face set."""

import argparse
import sys

from ._data_common import check_outputs, keywords

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument(
        "--out", required=True, metavar="DIR", default=argparse.SUPPRESS, help="the folder to make"
    )
    parser.add_argument("--identities", type=int, default=200, help="identities to train on")
    parser.add_argument("--images", type=int, default=20, help="images per identity")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other people")
    parser.add_argument(
        "--test-identities",
        type=int,
        default=100,
        help="identities of the verification pack, none of them in the training set",
    )
    parser.add_argument(
        "--pairs", type=int, default=600, help="pairs of the verification pack, a multiple of 20"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=argparse.SUPPRESS,
        help="processes that draw (default: the usable cores)",
    )
    parser.add_argument(
        "--format",
        choices=("jpg", "png"),
        default="jpg",
        help="jpg gives each image a quality of its own; png loses nothing",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a set with other settings"
    )
    parser.add_argument("--json", metavar="FILE", help="write the summary to FILE as well")


def run(args):
    """Run the command and return the exit status."""
    from ..data.synthetic.face_set import synthesize
    from ..evaluation.metrics.folds import kfold_accuracy
    from ..files import write_json

    check_outputs(("--json", args.json))
    summary = synthesize(
        args.out,
        **keywords(args, "identities", "images", "seed", "test_identities", "pairs", "overwrite"),
        workers=getattr(args, "workers", None),
        image_format=args.format,
        kfold_accuracy=kfold_accuracy,
    )
    if args.json:
        write_json(args.json, summary)
    counts, raw = summary["counts"], summary["raw_pixels"]
    how = (
        "already there, nothing drawn"
        if summary["reused"]
        else f"{summary['seconds']:.1f} s, {summary['images_per_second']:.0f} images/s"
    )
    pixels = ", ".join(f"{name} {raw[name]:.3f}" for name in raw if name != "best")
    sys.stdout.write(
        f"folder      {summary['folder']} ({how})\n"
        f"training    {counts['identities']} identities, {counts['images']} images: train.rec\n"
        f"test        {counts['test_identities']} other identities, {counts['pairs']} pairs in "
        f"{counts['folds']} folds: test.bin\n"
        f"raw pixels  {raw['best']:.3f} 10-fold accuracy at best ({pixels})\n"
        f"look at     {summary['folder']}/contact.png\n"
    )
    return 0
