"""Adds commands to a parser, for `gluonface X` and `gluonface X Y` alike."""

from __future__ import annotations

import argparse
import importlib
import os
import typing

from ..errors import InputError

__all__ = ["OUTPUTS", "add_command", "add_group", "require_no_input_as_output"]

OUTPUTS = ("draw", "json", "out", "plot", "report", "sheet", "torch")  # files to write
# A SOURCE of a model may be a prefix, and that of images a folder.
_INPUT_ENDS = ("", "-0000.params", "-symbol.json", "/train.rec", "/train.idx", "/property")
_OUTPUT_ENDS = ("-0000.params", "-symbol.json", ".onnx", ".fp16.onnx", ".int8.onnx")


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


def require_no_input_as_output(
    outputs: typing.Mapping[str, typing.Any], inputs: typing.Iterable[typing.Any]
) -> None:
    """Refuse to write a file that the command reads: what it held would be lost.

    An exported prefix may be exported again to itself.

    Parameters
    ----------
    outputs : dict of str to str
        By the option; other types than str are not looked at.
    inputs : iterable
        Values of the other options: paths, or SOURCEs of a model or of images.

    Raises
    ------
    InputError
    """
    given = [one for value in inputs for one in (value if isinstance(value, list) else [value])]
    texts = [one for one in given if isinstance(one, str)]
    exact = [name for one in texts for name in (one, one.partition(":")[2]) if name]
    for option, out in outputs.items():
        if not isinstance(out, str):
            continue
        pairs = [(out, name + end) for name in exact for end in _INPUT_ENDS]
        pairs += [(out + end, name) for name in exact for end in _OUTPUT_ENDS]
        for mine, theirs in pairs:
            if os.path.isfile(mine) and os.path.isfile(theirs) and os.path.samefile(mine, theirs):
                raise InputError(
                    f"{option}: {mine} would be written, and is read by the same command, as "
                    f"{theirs}; choose another name"
                )
