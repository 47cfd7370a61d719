"""`gluonface data pack-pairs`: a verification pack of a list of pairs."""

import sys

from ._data_common import add_image_options, check_outputs, keywords


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument(
        "pairs",
        metavar="PAIRS",
        help="LFW's pairs.txt, or lines `image,image,1` (same person) and `image,image,0`",
    )
    parser.add_argument(
        "root",
        metavar="ROOT",
        help="the folder of the aligned images; for LFW's NAME/NAME_0001.jpg",
    )
    parser.add_argument("out", metavar="OUT.bin", help="the pack")
    add_image_options(parser, "are an error")


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools.write_pack import pack_pairs

    check_outputs(("OUT.bin", args.out))
    options = keywords(args, "size", "resize", "quality")
    pack = pack_pairs(args.pairs, args.root, args.out, **options)
    same = int(pack.issame.sum())
    sys.stdout.write(f"{args.out}: {len(pack)} pairs, {same} same, {len(pack) - same} different\n")
    return 0
