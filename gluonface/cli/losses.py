"""`gluonface losses [PATTERN]`: the losses, their papers and parameters."""

import json
import sys

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the arguments of `gluonface losses` to `parser`."""
    parser.add_argument(
        "pattern", nargs="?", default="*", help="a loss, or a shell wildcard such as '*face'"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write the table as JSON to FILE (- for standard output)"
    )


def run(args):
    """Print the losses that match, or write them as JSON."""
    from ..errors import InputError
    from ..loss import LOSSES
    from ..loss.auxiliary import AUXILIARY
    from ..registry import unknown_name

    registries = (LOSSES, AUXILIARY)
    rows = [row for registry in registries for row in _rows(registry, args.pattern)]
    if not rows and any(mark in args.pattern for mark in "*?["):
        known = [*LOSSES.list(), *AUXILIARY.list()]
        raise InputError(f"no loss matches {args.pattern!r}; known: {', '.join(known)}")
    if not rows:  # an alias
        holders = [registry for registry in registries if args.pattern in registry]
        rows = [row for each in holders for row in _rows(each, each.resolve(args.pattern))]
    if not rows:
        raise unknown_name(args.pattern, *registries)
    if args.json == "-":
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    if args.json:
        from ..files import write_json

        write_json(args.json, rows)
    sys.stdout.write("\n".join(_table(rows, detail=len(rows) == 1)) + "\n")
    return 0


def _rows(registry, pattern):
    return [
        {**registry.get(name).describe(), "aliases": registry.aliases(name)}
        for name in registry.list(pattern)
    ]


def _paper(row):
    source = f"arXiv {row['arxiv']}" if row["arxiv"] else ""
    return ", ".join(str(part) for part in (row["paper"], row["year"], source) if part)


def _default(entry):
    return "auto" if entry["default"] is None else entry["default"]


def _parameters(row):
    return ", ".join(
        f"{entry['name']}={_default(entry)}" + (" rad" if entry["unit"] == "radians" else "")
        for entry in row["parameters"]
    )


def _table(rows, detail):
    """Return the lines of the table; with `detail` also every parameter's meaning and range."""
    cells = [("name", "family", "parameters (defaults)", "paper")]
    cells += [(row["name"], row["family"], _parameters(row) or "-", _paper(row)) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths)), line[3]])
        for line in cells
    ]
    if not detail:
        return lines
    row = rows[0]
    lines += ["", f"{row['title']}: {row['formula']}"]
    for entry in row["parameters"]:
        unit = f", {entry['unit']}" if entry["unit"] else ""
        lines.append(
            f"  {entry['name']} = {_default(entry)}{unit}: {entry['doc']} ({entry['allowed']})"
        )
    return lines
