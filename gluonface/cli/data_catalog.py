"""`gluonface data catalog`: the public face sets, their licences, and checks of downloads."""

import sys

from ._data_common import check_outputs, print_rows


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="a set or a pattern, `webface*`")
    parser.add_argument(
        "--check", metavar="DIR", help="compare the files of a download with the known sums"
    )
    parser.add_argument(
        "--mirror", metavar="DIR", help="copy the files of a set from a local mirror to --out"
    )
    parser.add_argument("--out", metavar="DIR", help="with --mirror: the folder to write")
    parser.add_argument("--json", metavar="FILE", help="write the entries, or the check, to FILE")


def run(args):
    """Run the command and return the exit status."""
    import dataclasses

    from ..data.catalog import CATALOG
    from ..data.tools.checksums import check_files, copy_from_mirror
    from ..errors import InputError
    from ..files import write_json

    check_outputs(("--json", args.json))
    pattern = args.name is None or any(c in args.name for c in "*?[")
    if (args.mirror is None) != (args.out is None):
        raise InputError("--mirror and --out go together: where from, and where to")
    if args.check is not None or args.mirror is not None:
        if pattern:
            raise InputError("--check and --mirror need the name of one set")
        entry = CATALOG.get(args.name)
        if args.mirror is not None:
            found = copy_from_mirror(entry, args.mirror, args.out)
        else:
            found = check_files(entry, args.check)
        print_rows(found.items(), 16)
        if args.json:
            write_json(args.json, found)
        return int("wrong" in found.values())
    names = CATALOG.list(args.name or "*") if pattern else [CATALOG.resolve(args.name)]
    entries = [CATALOG.get(name) for name in names]
    if args.json:
        write_json(args.json, [dataclasses.asdict(entry) for entry in entries])
    if not pattern:
        _details(entries[0])
        return 0
    rows = [("name", "kind", "identities", "images", "pairs")]
    for entry in entries:
        numbers = (entry.identities, entry.images, entry.pairs)
        rows.append((entry.name, entry.kind, *("" if n is None else f"{n:,}" for n in numbers)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        left = "  ".join(f"{cell:{width}}" for cell, width in zip(row[:2], widths))
        right = "  ".join(f"{cell:>{width}}" for cell, width in zip(row[2:], widths[2:]))
        sys.stdout.write(f"{left}  {right}".rstrip() + "\n")
    sys.stdout.write("\nLicences, sources and what to do: gluonface data catalog NAME\n")
    return 0


def _details(entry):
    copies = [(name, digest) for name, known in entry.copies.items() for digest in known]
    rows = [
        ("set", f"{entry.title} ({entry.kind})"),
        ("content", entry.about),
        ("files", entry.layout),
        *([("found as", entry.forms)] if entry.forms else []),
        ("licence", entry.license),
        ("page", entry.page),
        ("then", entry.after),
        ("note", entry.note),
    ]
    for name, digest in [*entry.sums.items(), *copies]:
        rows.append(("md5" if len(digest) == 32 else "sha256", f"{digest}  {name}"))
    print_rows(rows, 9)
