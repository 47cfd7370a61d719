"""`gluonface models`: the backbones, from the registry."""

from ._tables import add_table_arguments, aligned, names_of, print_table

__all__ = ["add_arguments", "run"]

NOTE = (
    "MMACs: millions of multiply-accumulates for one image. D: length of the embedding. MB: its "
    "float32 parameters.\nImages/s: inference at batch 1 and 32 by OpenVINO on the documentation's "
    "machine.\nIJB-C, theirs: true accept rate, per cent, at a false accept rate of 1e-4, as "
    "published by others of networks\nthat they trained; more of it with --json."
)


def add_arguments(parser):
    """Add the arguments of `gluonface models` to `parser`."""
    add_table_arguments(parser, "a backbone, or a shell wildcard like '*facenet*'")
    parser.add_argument(
        "--count",
        action="store_true",
        help="count operations as the published tables do: as cavaface, MixFaceNets and ptflops",
    )


def run(args):
    """Print the backbones that match, or write them as JSON."""
    from ..model_zoo import BACKBONES
    from ..model_zoo._table import table

    rows = table(*names_of(args.pattern, BACKBONES))
    if args.count:
        for row in rows:
            row["count"] = _counts(row["name"])
    print_table(rows, _count_lines(rows) if args.count else [*_lines(rows), "", NOTE], args.json)
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
    return [*aligned(cells, range(1, len(cells[0]))), "", *notes]


def _lines(rows):
    """Return the lines of the table of backbones."""
    from ..model_zoo._table import HEADINGS, cells, short

    lines = [(*HEADINGS, "Also known as")]
    for row in rows:
        *texts, paper = cells(row)
        lines.append((*texts, short(paper), ", ".join(row["aliases"])))
    return aligned(lines, range(1, len(HEADINGS) - 1))
