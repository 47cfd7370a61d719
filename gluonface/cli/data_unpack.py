"""`gluonface data unpack`: the images of a training set or a verification pack as files."""

import sys

from ..errors import one_line
from ._data_common import print_rows

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument("source", metavar="SET", help="a record folder, a .rec file or a pack")
    parser.add_argument("out", metavar="OUT", help="the folder for the images, new or empty")
    parser.add_argument(
        "--merge", action="store_true", help="write into a folder that holds other files"
    )


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools import unpack
    from ..data.verification_pack import is_pack

    if is_pack(args.source):
        found = unpack.unpack_pack(args.source, args.out, merge=args.merge)
        rows = [("pairs", f"{found['pairs']:,}, listed in {args.out}/pairs.csv")]
    else:
        found = unpack.unpack_records(args.source, args.out, merge=args.merge)
        names = f", {found['named']:,} with the name in identities.csv" if found["named"] else ""
        rows = [("identities", f"{found['identities']:,}{names}")]
    print_rows([*rows, ("images", f"{found['images']:,} in {args.out}")])
    for name, reason in found.get("left_out", ()):
        sys.stdout.write(f"  left out: {one_line(f'{name}: {reason}')}\n")
    return 1 if found.get("left_out") else 0
