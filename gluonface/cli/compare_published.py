"""`gluonface compare-published`: a result beside the published rows of its kind."""

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the arguments of `gluonface compare-published` to `parser`."""
    parser.add_argument(
        "source",
        metavar="RUN_OR_JSON",
        help="a run folder, or what `gluonface eval verification | ijb | megaface --json` wrote",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="the backbone, whose rows come first (if not given, what the result says)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON")


def run(args):
    """Print the tables; return the exit status."""
    import dataclasses
    import pathlib
    import sys

    from ..errors import InputError
    from ..evaluation.results.published_rows import (
        compare_figures,
        own_figures,
        published_figures,
    )
    from ..files import parse_json, write_json

    path, network = pathlib.Path(args.source), args.model
    if path.is_dir():
        network = network or _network_of(path)
        path = path / "verification.json"
    if not path.is_file():
        raise InputError(
            f"there is no {path}; a run folder with a verification, or the JSON of `gluonface "
            "eval`, was expected"
        )
    figures = own_figures(parse_json(path.read_bytes(), path), str(path), network)
    published, rows = published_figures(), []
    for own in figures:
        compared = compare_figures(own, published)
        sys.stdout.write(_table(own, compared))
        rows.append(
            {
                **dataclasses.asdict(own),
                "published": [{**dataclasses.asdict(row), "why_not": why} for row, why in compared],
            }
        )
    if args.json:
        write_json(args.json, rows)
    return 0


def _network_of(folder):
    """Return the backbone of a run, or None."""
    from ..files import parse_yaml

    file = folder / "config.yaml"
    tree = parse_yaml(file.read_text(encoding="utf-8"), file) if file.is_file() else None
    model = tree.get("model") if isinstance(tree, dict) else None
    return model.get("name") if isinstance(model, dict) else None


def _table(own, compared):
    """Return the text about one figure."""
    from ..model_zoo._table import short
    from ._tables import aligned

    how = f", flip {own.flip}" if own.flip else ""
    title = f"{own.benchmark}: yours is {own.value:.2f} %{how}"
    if own.network:
        title += f" ({own.network})"
    usable = [row for row, why in compared if why is None]
    lines = [title]
    if usable:
        cells = [("network", "trained on", "loss", "theirs", "yours - theirs", "table")]
        cells += [
            (
                row.network,
                row.data or "?",
                row.loss or "?",
                f"{row.value:.2f}",
                f"{own.value - row.value:+.2f}",
                short(row.source),
            )
            for row in usable
        ]
        lines += [f"  {line}" for line in aligned(cells, right={3, 4})]
        lines.append("  Figures of other training data or losses compare these, not the networks.")
    reasons: dict[str, list] = {}
    for row, why in compared:
        if why is not None:
            reasons.setdefault(why, []).append(row)
    for why, some in reasons.items():
        names = ", ".join(dict.fromkeys(row.network for row in some))
        lines.append(f"  not comparable ({len(some)} rows: {names}): {why}")
    if not compared:
        lines.append("  there is no published row of this set in the table of the zoo")
    return "\n".join(lines) + "\n\n"
