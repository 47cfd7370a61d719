"""Options, checks and output that the data commands share."""

import sys

from ..errors import one_line

__all__ = [
    "add_image_options",
    "add_source_options",
    "add_writing_options",
    "check_outputs",
    "inspection_cache",
    "keywords",
    "print_rows",
    "report",
    "source_options",
    "writing_options",
]


def add_image_options(parser, other_size):
    """Add the size and quality of the images; `other_size` says what becomes of other images."""
    parser.add_argument("--size", type=int, default=112, help="height and width of the images")
    parser.add_argument(
        "--resize", action="store_true", help=f"resize other images; if not given they {other_size}"
    )
    parser.add_argument(
        "--quality", type=int, default=95, help="JPEG quality of resized images; 101 writes PNG"
    )


def add_source_options(parser):
    """Add the options of `gluonface.data.open_source`, which say what a path does not."""
    group = parser.add_argument_group("what the source does not contain")
    group.add_argument("--root", metavar="DIR", help="where the paths of a list file begin")
    group.add_argument(
        "--person",
        metavar="FOLDER",
        help="for images deeper than PERSON/IMAGE: first (PERSON/SESSION/IMAGE), last "
        "(GROUP/PERSON/IMAGE), or the depth of the person's folder from 1",
    )
    group.add_argument("--split", metavar="NAME", help="split of a Hugging Face data set, or all")
    group.add_argument("--strip", metavar="PREFIX", help="cut this off the paths of a list file")
    group.add_argument(
        "--columns",
        metavar="WHAT=NAME,...",
        help="columns of a list or table: path (or image), identity; of a list without a header, "
        "numbers from 1",
    )
    group.add_argument(
        "--allow-missing",
        action="store_true",
        help="continue if more than half of the images of a list are missing",
    )
    group.add_argument("--group", metavar="NAME", help="the column of the group, or several: a,b")


def source_options(args):
    """Return the options of `add_source_options` as keyword arguments."""
    return keywords(args, "root", "person", "split", "strip", "columns", "group", "allow_missing")


def add_writing_options(parser):
    """Add the options of `gluonface.data.tools.resumable_writer.write_record_set`."""
    parser.add_argument("--overwrite", action="store_true", help="replace an existing set")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="threads (if not given, one a core)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the counts to FILE")


def writing_options(args):
    """Check ``--json``; return the other options of `add_writing_options` as keyword arguments."""
    check_outputs(("--json", args.json))
    return keywords(args, "overwrite", "workers")


def keywords(args, *names):
    """Return the options of these names as keyword arguments."""
    return {name: getattr(args, name) for name in names}


def check_outputs(*files):
    """Refuse, before any work, files that cannot be written.

    Parameters
    ----------
    *files : tuple of (str, str or None)
        The option and the file: ``("--json", "counts.json")``.
    """
    import pathlib

    from ..errors import InputError

    for option, value in files:
        path = None if value is None else pathlib.Path(value)
        if path is not None and not path.parent.is_dir():
            raise InputError(f"{option}: there is no folder {path.parent}; make it first")
        if path is not None and path.is_dir():
            raise InputError(f"{option}: {path} is a folder; the name of a file was expected")


def inspection_cache():
    """Return the folder for the results of interrupted inspections of large sets."""
    from ..files import cache_folder

    return cache_folder("inspections")


def print_rows(rows, width=12):
    """Write rows of a name and a value to standard output."""
    for name, value in rows:
        sys.stdout.write(f"{name:{width}} {one_line(str(value))}\n")


def report(args, result):
    """Write counts, and what was left out, to standard output and ``--json``; return status 0."""
    from ..files import write_json

    left_out = result["left_out"]
    rows = [("set", args.out)]
    rows += [(key, f"{result[key]:,}") for key in ("images", "identities")]
    for key, name in (("joined", "joined"), ("few_images", "too few")):
        if result.get(key):
            rows.append((name, f"{result[key]:,}"))
    place = f", see {args.out}/left_out.csv" if left_out else ""
    rows.append(("left out", f"{len(left_out):,}{place}"))
    print_rows(rows)
    for name, reason in left_out[:5]:
        sys.stdout.write(f"  {one_line(name)}: {one_line(reason)}\n")
    if args.json:
        write_json(args.json, {**result, "left_out": [list(item) for item in left_out]})
    return 0
