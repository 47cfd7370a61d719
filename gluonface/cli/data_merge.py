"""`gluonface data merge`: several training sets as one."""

from ._data_common import add_writing_options, report, writing_options

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument("sources", metavar="SET", nargs="+", help="record folders or .rec files")
    parser.add_argument("--out", metavar="DIR", required=True, help="the folder of the new set")
    parser.add_argument(
        "--map",
        metavar="FILE",
        help="identities that are the same person, lines `set,identity,set,identity` with the "
        "later set first; sets are numbered from 0 as they are given",
    )
    add_writing_options(parser)


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools.transform_records import merge, read_identity_map

    identity_map = args.map and read_identity_map(args.map)
    result = merge(args.sources, args.out, identity_map=identity_map, **writing_options(args))
    return report(args, result)
