"""`gluonface models`: the backbones, from the registry."""

import json
import sys

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the arguments of `gluonface models` to `parser`."""
    parser.add_argument(
        "pattern", nargs="?", default="*", help="a backbone, or a shell wildcard like '*facenet*'"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write the table as JSON to FILE (- for standard output)"
    )


def run(args):
    """Print the backbones that match, or write them as JSON."""
    from ..errors import InputError
    from ..files import write_json
    from ..model_zoo import BACKBONES

    names = BACKBONES.list(args.pattern)
    if not names:
        if any(mark in args.pattern for mark in "*?["):
            known = ", ".join(BACKBONES.list())
            raise InputError(f"no backbone matches {args.pattern!r}; known: {known}")
        names = [BACKBONES.resolve(args.pattern)]  # an alias, or an error that suggests one
    rows = []
    for name in names:
        cfg, _ = BACKBONES.get(name)
        rows.append({**cfg.to_dict(), "aliases": BACKBONES.aliases(name)})
    if args.json == "-":
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    if args.json:
        write_json(args.json, rows)
    sys.stdout.write("\n".join(_table(rows)) + "\n")
    return 0


def _table(rows):
    """Return the lines of the table; numbers to the right."""
    cells = [("name", "parameters", "MACs", "embedding", "aliases", "paper")]
    for row in rows:
        numbers = (f"{row['params']:,}", f"{row['macs'] / 1e6:.1f} M", str(row["embedding_size"]))
        cells.append((row["name"], *numbers, ", ".join(row["aliases"]), row["paper"]))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(
            text.rjust(width) if 1 <= column <= 3 else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in cells
    ]
