"""`gluonface data pack-pairs`: a verification pack of pairs in any form."""

import sys

from ..errors import one_line
from ._commands import require_no_input_as_output
from ._data_common import add_image_options, check_outputs, keywords
from ._pair_options import add_pair_options, pair_options


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="PAIRS OUT.bin, or PAIRS ROOT OUT.bin. PAIRS: a list of pairs (LFW's pairs.txt, "
        "lines `image,image,1`, a table with a header, ...), several lists that are one set, or "
        "the folder, zip or tar of CFP, RFW, SurvFace, AgeDB or LFW as published, CVLface's Arrow "
        "folder, decoded pixels, a pack. ROOT: as --root",
    )
    add_pair_options(parser)
    add_image_options(parser, "are an error")
    parser.add_argument("--json", metavar="FILE", help="write the counts to FILE")


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools.write_pack import pack_pairs
    from ..files import write_json

    paths, out = _paths(args)
    require_no_input_as_output({"OUT.bin": out}, [*paths, args.root])
    check_outputs(("OUT.bin", out), ("--json", args.json))
    options = {**pair_options(args), **keywords(args, "size", "resize", "quality")}
    pack = pack_pairs(paths if len(paths) > 1 else paths[0], out=out, **options)
    counts = {
        "path": out,
        "pairs": len(pack),
        "same": int(pack.issame.sum()),
        "folds": None if pack.folds is None else _by(pack.folds.tolist(), pack.issame),
        "groups": None if pack.groups is None else _by(pack.groups, pack.issame),
    }
    same = counts["same"]
    sys.stdout.write(f"{out}: {len(pack)} pairs, {same} same, {len(pack) - same} different\n")
    for what in ("folds", "groups"):
        if counts[what]:
            one = ", ".join(f"{key}: {a} + {b}" for key, (a, b) in counts[what].items())
            sys.stdout.write(f"{what} (same + different): {one_line(one)}\n")
    if args.json:
        write_json(args.json, counts)
    return 0


def _paths(args):
    """Return the paths of the pairs and the output; a folder between them is ``--root``."""
    import pathlib

    from ..errors import InputError

    *paths, out = args.paths
    if not paths:
        raise InputError("expected PAIRS and OUT.bin")
    last = pathlib.Path(paths[-1])
    root = len(paths) > 1 and (last.is_dir() or last.suffix.lower() in (".zip", ".tar"))
    if len(paths) == 2 and not last.exists():
        raise InputError(f"{last} is neither a list of pairs nor the folder of the images")
    if root:
        if args.root is not None:
            raise InputError(f"two folders of images: {last} and --root {args.root}")
        args.root = str(last)
        paths = paths[:-1]
    return paths, out


def _by(values, issame):
    """Return [same, different] by value, in order of appearance."""
    found = {}
    for value, same in zip(values, issame):
        found.setdefault(str(value), [0, 0])[0 if same else 1] += 1
    return found
