"""`gluonface data shuffle`: a training set in another order."""

from ._data_common import add_writing_options, report, writing_options

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument("source", metavar="SET", help="a record folder or a .rec file")
    parser.add_argument("out", metavar="OUT", help="the folder of the new set")
    parser.add_argument(
        "--by",
        choices=("image", "identity"),
        default="image",
        help="image: all mixed, a plain file for readers that go through it from the beginning "
        "(our loader needs none); identity: new numbers, the images of each stay together",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, another order")
    add_writing_options(parser)


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools.transform_records import shuffle

    result = shuffle(args.source, args.out, seed=args.seed, by=args.by, **writing_options(args))
    return report(args, result)
