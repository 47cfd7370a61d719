"""`gluonface data subset`: some identities and images of a training set."""

from ._data_common import add_writing_options, keywords, report, writing_options

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument("source", metavar="SET", help="a record folder or a .rec file")
    parser.add_argument("out", metavar="OUT", help="the folder of the new set")
    parser.add_argument(
        "--identities", metavar="FILE", help="keep these: a file with an identity per line"
    )
    parser.add_argument("--images", metavar="FILE", help="keep these: a record key per line")
    parser.add_argument(
        "--min-images", type=int, default=1, metavar="N", help="leave out people with fewer images"
    )
    parser.add_argument(
        "--max-images", type=int, metavar="N", help="of people with more images keep N, drawn"
    )
    parser.add_argument("--first", type=int, metavar="N", help="keep N identities")
    parser.add_argument(
        "--keep-ids",
        action="store_true",
        help="keep the numbers of the identities (if not given, they are renumbered without gaps)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of --max-images")
    add_writing_options(parser)


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools.transform_records import read_identities, subset

    result = subset(
        args.source,
        args.out,
        identities=args.identities and read_identities(args.identities),
        images=args.images and read_identities(args.images),
        **keywords(args, "min_images", "max_images", "first", "keep_ids", "seed"),
        **writing_options(args),
    )
    return report(args, result)
