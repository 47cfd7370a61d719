"""What the commands that write training sets have in common."""

import sys

__all__ = ["add_writing_options", "check_outputs", "notes_folder", "report", "writing"]


def add_writing_options(parser):
    """Add the options of `gluonface.data.tools.record_job.write_set`."""
    parser.add_argument("--overwrite", action="store_true", help="replace a set that is there")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="threads (if not given, one a core)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the counts to FILE")


def writing(args):
    """Return the options as keyword arguments, after a look at ``--json``."""
    check_outputs(("--json", args.json))
    return {"overwrite": args.overwrite, "workers": args.workers}


def check_outputs(*files):
    """Refuse, before any work, files that could not be written when it is done.

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


def notes_folder():
    """Return where interrupted looks through large sets are kept."""
    from ..files import cache_folder

    return cache_folder("surveys")


def report(args, out, result):
    """Write counts, and what was left out, to standard output and ``--json``."""
    from ..files import write_json

    left_out = result["left_out"]
    lines = [("set", out), ("images", f"{result['images']:,}")]
    lines.append(("identities", f"{result['identities']:,}"))
    for key, name in (("joined", "joined"), ("few_images", "too few")):
        if result.get(key):
            lines.append((name, f"{result[key]:,}"))
    lines.append(
        ("left out", f"{len(left_out):,}" + (f", see {out}/left_out.csv" if left_out else ""))
    )
    for name, value in lines:
        sys.stdout.write(f"{name:12} {value}\n")
    for name, reason in left_out[:5]:
        sys.stdout.write(f"  {name}: {reason}\n")
    if args.json:
        write_json(args.json, {**result, "left_out": [list(item) for item in left_out]})
    return 0
