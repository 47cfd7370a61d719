"""`gluonface cache`: what gluonface keeps on this machine between runs, and how to clear it."""

from ._tables import add_table_arguments, aligned, print_table

__all__ = ["add_arguments", "measure", "run"]

CACHES = {
    "embeddings": "of evaluated images and training sets; biometric data, readable by you alone",
    "inspections": "results of unfinished checks of training sets",
    "native": "operators compiled for this machine's processor",
}


def add_arguments(parser):
    """Add the arguments of `gluonface cache` to `parser`."""
    add_table_arguments(parser, "a cache, or a shell wildcard: " + ", ".join(CACHES))
    parser.add_argument(
        "--clear", action="store_true", help="delete these caches; they are filled again as needed"
    )


def run(args):
    """Print the caches that match, and delete them when asked to."""
    import fnmatch
    import sys

    from ..errors import InputError
    from ..files import cache_folder

    names = [name for name in CACHES if fnmatch.fnmatchcase(name, args.pattern)]
    if not names:
        raise InputError(f"there is no cache {args.pattern!r}; there are {', '.join(CACHES)}")
    rows = [measure(name, cache_folder(name)) for name in names]
    lines = aligned([(r["name"], f"{r['bytes']:,} bytes", r["folder"]) for r in rows], right={1})
    lines = [
        text for row, line in zip(rows, lines) for text in (line, f"    {CACHES[row['name']]}")
    ]
    print_table(rows, lines, args.json)
    if args.clear:
        for row in rows:
            _delete(cache_folder(row["name"]))
        if args.json != "-":
            sys.stdout.write(f"deleted: {', '.join(names)}\n")
    return 0


def measure(name, folder):
    """Return the name, folder, number of files and bytes of a cache."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    return {"name": name, "folder": str(folder), "files": len(files), "bytes": size}


def _delete(folder):
    """Delete a folder; of a link, the link alone."""
    import shutil

    if not folder.is_dir() or folder.is_symlink():
        folder.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:  # it may name a file without its folder
        raise OSError(error.errno, error.strerror, f"{folder}: {error.filename}") from None
