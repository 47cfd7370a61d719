"""`gluonface losses [PATTERN]`: the margin losses, their papers and parameters."""

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

    names = LOSSES.list(args.pattern)
    if not names:
        if any(mark in args.pattern for mark in "*?["):
            raise InputError(f"no loss matches {args.pattern!r}; known: {', '.join(LOSSES.list())}")
        names = [LOSSES.resolve(args.pattern)]  # an alias, or an error that suggests the nearest
    rows = [{**LOSSES.get(name).describe(), "aliases": LOSSES.aliases(name)} for name in names]
    if args.json == "-":
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    if args.json:
        from ..files import write_json

        write_json(args.json, rows)
    sys.stdout.write("\n".join(_table(rows, detail=len(rows) == 1)) + "\n")
    return 0


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
    cells = [("name", "family", "parameters (the paper's values)", "paper")]
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
