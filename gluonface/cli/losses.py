"""`gluonface losses [PATTERN]`: the losses, their papers and parameters."""

from ._tables import add_table_arguments, aligned, names_of, print_table

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the arguments of `gluonface losses` to `parser`."""
    add_table_arguments(parser, "a loss, or a shell wildcard such as '*face'")


def run(args):
    """Print the losses that match, or write them as JSON."""
    from ..loss import LOSSES
    from ..loss.auxiliary import AUXILIARY

    registries = (LOSSES, AUXILIARY)
    rows = [
        {**registry.get(name).describe(), "aliases": registry.aliases(name)}
        for registry, names in zip(registries, names_of(args.pattern, *registries))
        for name in names
    ]
    print_table(rows, _lines(rows), args.json)
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


def _lines(rows):
    """Return the lines of the table; of one loss also every parameter's meaning and range."""
    cells = [("name", "family", "parameters (defaults)", "paper")]
    cells += [(row["name"], row["family"], _parameters(row) or "-", _paper(row)) for row in rows]
    lines = aligned(cells)
    if len(rows) > 1:
        return lines
    row = rows[0]
    lines += ["", f"{row['title']}: {row['formula']}"]
    for entry in row["parameters"]:
        unit = f", {entry['unit']}" if entry["unit"] else ""
        lines.append(
            f"  {entry['name']} = {_default(entry)}{unit}: {entry['doc']} ({entry['allowed']})"
        )
    return lines
