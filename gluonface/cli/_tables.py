"""What `gluonface models` and `gluonface losses` share: a pattern, and a table of a registry."""

from __future__ import annotations

import argparse
import json
import sys
import typing

from ..errors import InputError, one_line
from ..files import write_json
from ..registry import Registry, unknown_name

__all__ = ["add_table_arguments", "aligned", "names_of", "print_table"]


def add_table_arguments(parser: argparse.ArgumentParser, pattern_help: str) -> None:
    """Add ``pattern`` and ``--json`` to `parser`."""
    parser.add_argument("pattern", nargs="?", default="*", help=pattern_help)
    parser.add_argument(
        "--json", metavar="FILE", help="write the table as JSON to FILE (- for standard output)"
    )


def names_of(pattern: str, *registries: Registry) -> list[list[str]]:
    """Return for each registry the names that match a wildcard, or of which it is an alias.

    Raises
    ------
    InputError
        If there is none.
    """
    names = [registry.list(pattern) for registry in registries]
    if not any(names):
        names = [[r.resolve(pattern)] if pattern in r else [] for r in registries]
    if any(names):
        return names
    if any(mark in pattern for mark in "*?["):
        known = ", ".join(name for registry in registries for name in registry.list())
        raise InputError(f"no {registries[0].kind} matches {pattern!r}; known: {known}")
    raise unknown_name(pattern, *registries)


def print_table(rows: list[dict], lines: typing.Iterable[str], path: str | None) -> None:
    """Print `lines`, and write `rows` as JSON to `path`; with ``-`` print the JSON alone."""
    if path == "-":
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    if path:
        write_json(path, rows)
    sys.stdout.write("\n".join(lines) + "\n")


def aligned(cells: list[typing.Sequence[str]], right: typing.Container[int] = ()) -> list[str]:
    """Return one line for each row of `cells`; the columns `right` are flush right."""
    cells = [[one_line(text) for text in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        "  ".join(
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in cells
    ]
