"""Adds commands to a parser, for `gluonface X` and `gluonface X Y` alike."""

from __future__ import annotations

import argparse
import importlib

__all__ = ["add_command", "add_group"]


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults other than None, False, "" and an empty list; of a list, its items."""

    def _get_help_string(self, action):
        default = action.default
        if default is None or default is False or default in ("", []):
            return action.help
        if isinstance(default, (list, tuple)):
            return f"{action.help} (default: {' '.join(map(str, default))})"
        return super()._get_help_string(action)


def add_command(
    commands: argparse._SubParsersAction,
    name: str,
    module: str,
    summary: str,
    complete: bool = True,
) -> None:
    """Add one command to argparse's `commands`.

    Parameters
    ----------
    commands : argparse subparsers object
    name : str
        The word on the command line.
    module : str
        The module with ``add_arguments(parser)`` and ``run(args) -> int``.
    summary : str
        One line for ``--help``.
    complete : bool, default True
        Whether to import `module` and add its arguments. False only lists the command.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        formatter_class=_Help,
    )
    if complete:
        handler = importlib.import_module(module)
        handler.add_arguments(parser)
        if not hasattr(handler, "GROUP"):
            after = _same_command if hasattr(handler, "RESUMES") else None
            parser.set_defaults(
                run=handler.run, after_interrupt=getattr(handler, "after_interrupt", after)
            )
            parser.add_argument(
                "--log-level",
                default="info",
                choices=("debug", "info", "warning", "error"),
                help="how much to log to standard error",
            )


def _same_command(args):
    """Return how to go on with a command that `RESUMES`."""
    return "the same command goes on where it stopped"


def add_group(parser: argparse.ArgumentParser, table: dict[str, tuple[str, str]]) -> None:
    """Make `parser` a group of commands. `table`: name -> (module, one line for ``--help``).

    A module that calls this from its ``add_arguments`` sets ``GROUP = True`` and has no ``run``.
    """
    commands = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for name, (module, summary) in table.items():
        add_command(commands, name, module, summary)
