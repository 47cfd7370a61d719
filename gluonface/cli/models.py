"""`gluonface models`: the backbones, from the registry."""

import json
import sys

__all__ = ["add_arguments", "run"]

NOTE = (
    "MMACs: millions of multiply-accumulates for one image. D: length of the embedding. MB: its "
    "float32 parameters.\nImages/s: inference at batch 1 and 32 by OpenVINO on the documentation's "
    "machine.\nIJB-C, theirs: true accept rate, per cent, at a false accept rate of 1e-4, as "
    "published by others of networks\nthat they trained; more of it with --json."
)


def add_arguments(parser):
    """Add the arguments of `gluonface models` to `parser`."""
    parser.add_argument(
        "pattern", nargs="?", default="*", help="a backbone, or a shell wildcard like '*facenet*'"
    )
    parser.add_argument(
        "--count",
        action="store_true",
        help="count operations as the published tables do: as cavaface, MixFaceNets and ptflops",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write the table as JSON to FILE (- for standard output)"
    )


def run(args):
    """Print the backbones that match, or write them as JSON."""
    from ..errors import InputError
    from ..files import write_json
    from ..model_zoo import BACKBONES
    from ..model_zoo._table import table

    names = BACKBONES.list(args.pattern)
    if not names:
        if any(mark in args.pattern for mark in "*?["):
            known = ", ".join(BACKBONES.list())
            raise InputError(f"no backbone matches {args.pattern!r}; known: {known}")
        names = [BACKBONES.resolve(args.pattern)]  # an alias, or an error that suggests one
    rows = table(names)
    if args.count:
        for row in rows:
            row["count"] = _counts(row["name"])
    if args.json == "-":
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    if args.json:
        write_json(args.json, rows)
    lines = _count_lines(rows) if args.count else [*_lines(rows), "", NOTE]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _counts(name):
    """Return {convention: operations}."""
    from ..model_zoo import BACKBONES
    from ..model_zoo._count import CONVENTIONS

    cfg, build = BACKBONES.get(name)
    net = build(cfg, prelu="plain")
    return {convention: net.count(convention) for convention in CONVENTIONS}


def _count_lines(rows):
    """Return the lines of the table of counts."""
    from ..model_zoo._count import CONVENTIONS

    cells = [("name", "parameters", *CONVENTIONS)]
    for row in rows:
        counts = (f"{count:,}" for count in row["count"].values())
        cells.append((row["name"], f"{row['params']:,}", *counts))
    notes = [f"{name}: {meaning}" for name, meaning in CONVENTIONS.items()]
    return [*_aligned(cells, range(1, len(cells[0]))), "", *notes]


def _lines(rows):
    """Return the lines of the table of backbones."""
    from ..model_zoo._table import HEADINGS, cells, short

    lines = [(*HEADINGS, "Also known as")]
    for row in rows:
        *texts, paper = cells(row)
        lines.append((*texts, short(paper), ", ".join(row["aliases"])))
    return _aligned(lines, range(1, len(HEADINGS) - 1))


def _aligned(cells, numbers):
    """Return lines of columns; those of `numbers` to the right."""
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in cells
    ]
