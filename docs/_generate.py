"""Write docs/_generated: tables of the registries, of the configuration and of --help, and figures.

conf.py calls `write_all` before Sphinx reads the pages. ``*.inc`` are fragments that pages include;
``*.rst`` in ``api`` are pages. A file is written only if its content changed, which keeps a second
build short.
"""

import argparse
import csv
import dataclasses
import os
import pathlib
import re
import sys
import typing

import _api
import _augmentation
import _examples
import _figures
import _losses
import _zoo_plots

__all__ = ["command_parsers", "write_all", "write_fragments"]

LONG = 30  # a table of results with more rows has a search field
WIDTH = "92"  # characters of a line of --help: a page shows them without a scroll bar


def write_all(folder):
    """Write every generated file into `folder` and remove files that are no longer generated."""
    folder = pathlib.Path(folder)
    texts = {
        **zoo_table(),
        "zoo_published.inc": published_table(),
        "losses.inc": loss_table(),
        "loss_parameters.inc": loss_parameters(),
        "config.inc": config_tables(),
        "recipes.inc": recipes(),
        "catalog.inc": catalog(),
        "commands.inc": command_help(),
        **results(),
        **_api.pages(),
        **_losses.pages(),
        **_augmentation.pages(),
        **_zoo_plots.pages(),
        **_examples.pages(),
    }
    for name, text in texts.items():
        _write(folder / name, text)
    drawing = (_figures, _losses, _augmentation, _examples)
    drawn = [path for module in drawing for path in module.draw_all(folder)]
    kept = {folder / name for name in texts} | set(drawn)
    for path in folder.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def write_fragments(folder):
    """Write what the translated pages include and translate; draw and import nothing.

    Tables of the registry and plots are those of the last whole build, or empty.
    """
    folder = pathlib.Path(folder)
    for name, text in results().items():
        _write(folder / name, text)
    for name in ("zoo", "zoo_notes", "zoo_published", "zoo_accuracy", "zoo_speed", "example_plots"):
        if not (folder / f"{name}.inc").exists():
            _write(folder / f"{name}.inc", "")


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


# --- tables ------------------------------------------------------------------------------------


def list_table(headings, rows, classes="", widths=None):
    """Return a reST list-table; cells are reST text."""
    lines = [".. list-table::", "   :header-rows: 1"]
    if classes:
        lines.append(f"   :class: {classes}")
    lines.append(f"   :widths: {' '.join(map(str, widths)) if widths else 'auto'}")
    lines.append("")
    for row in [headings, *rows]:
        for place, cell in enumerate(row):
            first, *rest = str(cell).split("\n")
            lines.append(f"   {'* -' if place == 0 else '  -'} {first}".rstrip())
            lines += [f"       {line}".rstrip() for line in rest]
    return "\n".join(lines) + "\n"


def literal(value):
    """Return `value` as inline code, or an empty text for an empty value."""
    return f"``{value}``" if str(value) else ""


def link(url):
    """Return a link to a paper or repository. Its text is the end of the address."""
    from gluonface.model_zoo._table import short

    return f"`{short(url)} <{url}>`__" if url else ""


def zoo_table():
    """Return the table of backbones and the notes on each, from the registry and its CSV files."""
    from gluonface.model_zoo import BACKBONES
    from gluonface.model_zoo._table import HEADINGS, cells, table

    rows, notes = [], []
    for row in table():
        name, *texts, paper = cells(row)
        rows.append([literal(name), *(text.replace("*", "\\*") for text in texts), link(paper)])
        cfg, _ = BACKBONES.get(row["name"])
        aliases = ", ".join(map(literal, row["aliases"]))
        about = [cfg.note.replace("`", "``"), f"Also known as {aliases}." if aliases else ""]
        notes.append(
            f"{literal(row['name'])}\n"
            + "".join(f"   {line}\n" for line in about if line)
            + f"   Layers and counts: {link(cfg.source)}.\n"
        )
    text = list_table(HEADINGS, rows, "explore zoo")
    return {"zoo.inc": text, "zoo_notes.inc": "\n".join(notes)}


def published_table():
    """Return the table of published figures, each with its source."""
    from gluonface.model_zoo._table import table

    rows = [
        [
            literal(row["name"]),
            figure["data"],
            figure["loss"],
            figure["ijbc"],
            figure["others"],
            figure["licence"],
            link(figure["source"]),
        ]
        for row in table()
        for figure in row["published"]
    ]
    headings = ["Name", "Trained on", "Loss", "IJB-C 1e-4", "Others", "Their weights", "Source"]
    return list_table(headings, rows, "explore published")


def loss_table():
    """Return the table of losses from the registry."""
    from gluonface.loss import LOSSES

    rows = []
    for name in LOSSES.list():
        entry = LOSSES.get(name).describe()
        arxiv = entry["arxiv"]
        source = link(f"https://arxiv.org/abs/{arxiv}") if arxiv else entry["paper"]
        rows.append(
            [literal(name), entry["title"], literal(entry["formula"]), entry["year"], source]
        )
    return list_table(["Name", "Loss", "Formula", "Year", "Paper"], rows, "explore")


def loss_parameters():
    """Return one table of the parameters of all losses."""
    from gluonface.loss import LOSSES

    rows = []
    for name in LOSSES.list():
        for entry in LOSSES.get(name).describe()["parameters"]:
            unit = f" {entry['unit']}" if entry["unit"] else ""
            rows.append(
                [
                    literal(name),
                    literal(entry["name"]),
                    literal(entry["default"]),
                    entry["allowed"] + unit,
                    entry["doc"],
                ]
            )
    return list_table(["Loss", "Parameter", "Default", "Allowed", "Meaning"], rows, "explore")


def results():
    """Return the fragments with measured figures: docs/results/X.rst with the table of X.csv.

    The fragment of a table without rows is empty.
    """
    fragments = {}
    for path in sorted((pathlib.Path(__file__).parent / "results").glob("*.csv")):
        if not path.with_suffix(".rst").exists():  # a page includes the table itself
            continue
        with open(path, encoding="utf-8", newline="") as file:
            headings, *rows = csv.reader(file)
        text = path.with_suffix(".rst").read_text(encoding="utf-8")
        long = len(rows) > LONG
        table = list_table(headings, rows, "explore zoo" if long else "").rstrip("\n")
        fragments[f"results/{path.stem}.inc"] = text.replace("TABLE", table) if rows else ""
    return fragments


# --- the configuration -------------------------------------------------------------------------

TYPES = {
    int: "whole number",
    float: "number",
    bool: "true / false",
    str: "text",
    typing.Any: "name or section",
    dict[str, typing.Any]: "section",
}


def _type(kind):
    if kind == list[typing.Any]:
        return "list of names or sections"
    if typing.get_origin(kind) is list:
        return f"list of {_type(typing.get_args(kind)[0])}s"
    if typing.get_origin(kind) is typing.Union:
        kinds = [_type(k) for k in typing.get_args(kind) if k is not type(None)]
        return "step or share" if kinds == ["whole number", "number"] else " or ".join(kinds)
    return TYPES.get(kind, "")


def _range(metadata):
    if metadata.get("choices"):
        return " ".join(literal(choice) for choice in metadata["choices"])
    words = (("above", "above"), ("low", "at least"), ("high", "at most"))
    limits = [f"{word} {metadata[key]}" for key, word in words if metadata.get(key) is not None]
    return ", ".join(limits)


def _default(field):
    missing = field.default is dataclasses.MISSING
    value = field.default_factory() if missing else field.default
    if value is None or value == "":
        return "(empty)"
    return literal(str(value).lower() if isinstance(value, bool) else value)


def config_tables():
    """Return one table per section of the training configuration."""
    from gluonface.training import Config

    lines = []
    for section in dataclasses.fields(Config):
        if not dataclasses.is_dataclass(section.type):
            continue
        doc = " ".join((section.type.__doc__ or "").split())
        rows = [
            [
                literal(f"{section.name}.{field.name}"),
                _default(field),
                _range(field.metadata) or _type(field.type),
                field.metadata.get("help", "").replace("`", "``"),
            ]
            for field in dataclasses.fields(section.type)
            if field.name != getattr(section.type, "OPEN", None)
        ]
        lines += [
            f".. _config-{section.name}:\n",
            section.name,
            "~" * len(section.name) + "\n",
            re.sub(r"`+", "``", doc) + "\n",
            list_table(["Key", "Default", "Values", "Meaning"], rows, "names", [26, 14, 24, 36]),
        ]
    return "\n".join(lines)


def recipes():
    """Return a section with the file of each recipe."""
    from gluonface.training import list_recipes

    lines = []
    for name in list_recipes():
        lines += [
            f".. _recipe-{name}:\n",
            name,
            "~" * len(name) + "\n",
            f".. literalinclude:: /../gluonface/recipes/{name}.yaml",
            "   :language: yaml\n",
        ]
    return "\n".join(lines)


def catalog():
    """Return the table of the public sets, from the catalogue."""
    from gluonface.data.catalog import CATALOG

    entries = [CATALOG.get(name) for name in CATALOG.list()]
    entries.sort(key=lambda entry: ("training", "pairs", "protocol").index(entry.kind))
    rows = [
        (
            f"`{entry.title} <{entry.page}>`__",
            literal(entry.name),
            *("" if n is None else f"{n:,}" for n in (entry.identities, entry.images, entry.pairs)),
            entry.license,
        )
        for entry in entries
    ]
    return list_table(("Set", "Name", "Identities", "Images", "Pairs", "Licence"), rows)


# --- commands ----------------------------------------------------------------------------------


def command_parsers():
    """Return {"train": parser, "eval verification": parser, ...} of every command."""
    from gluonface import cli

    found = {}
    for name in cli.COMMANDS:
        parser = _subparsers(cli._build_parser(name))[name]
        nested = _subparsers(parser)
        found.update({f"{name} {sub}": child for sub, child in nested.items()} or {name: parser})
    return found


def _subparsers(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def command_help():
    """Return a section with the --help text of each command."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        helps = {name: parser.format_help() for name, parser in command_parsers().items()}
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    lines = []
    for name, text in helps.items():
        title = f"gluonface {name}"
        lines += [
            f".. _command-{name.replace(' ', '-')}:\n",
            title,
            "-" * len(title) + "\n",
            ".. code-block:: text\n",
            *("   " + line if line else "" for line in text.rstrip().split("\n")),
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    write_all(pathlib.Path(__file__).parent / "_generated")
