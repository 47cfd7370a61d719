"""The errors that gluonface raises for its users.

Each message names the value, what was expected, and the remedy. The command line prints it as one
line on standard error and exits with the error's status.
"""

from __future__ import annotations

import importlib.metadata
import logging
import pathlib
import re
import typing

__all__ = [
    "DataError",
    "GluonfaceError",
    "InputError",
    "LogLine",
    "MissingExtraError",
    "TrainingError",
    "install_command",
    "one_line",
    "printable",
    "shown",
    "shown_text",
]

# Control characters but the tab and the line feed: a terminal obeys them. Marks of writing
# direction and line separators: they show a name as another one.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

_LONGEST = 2000  # characters of a message


def printable(text: str) -> str:
    r"""Return `text` with control characters as escapes such as ``\x1b``.

    Names and contents of files may hold sequences that clear a terminal, change its title or hide
    a line; they are shown, not obeyed. Tabs and line feeds stay.
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    r"""Return `printable` text with its line feeds as ``\n``.

    For a name among other text: what follows a line feed in it would pass for a line of ours.
    """
    return printable(text).replace("\n", "\\n")


class LogLine(logging.Formatter):
    """One line for each message, with nothing that a terminal obeys; tracebacks have theirs."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line without what follows of an exception."""
        return one_line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the lines of an exception."""
        return printable(super().format(record))


def shown(value: typing.Any, most: int = 60) -> str:
    """Return a value of a file for a message: short, and nothing that a terminal obeys."""
    if isinstance(value, int) and abs(value) > 1 << 64:
        return "a number of more than 20 digits"  # Python refuses to print some
    if isinstance(value, (list, dict, tuple, set)):
        return f"a {type(value).__name__} of {len(value)}"  # it may be deep
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def shown_text(text: str, most: int = 300) -> str:
    """Return a text of a file or another program for a message: one short, printable line."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:most])
    return line if len(text) <= most else f"{line}..."


def install_command(extra: str) -> str:
    """Return the command that installs an extra of gluonface, however gluonface itself is here.

    With an installed gluonface, from a wheel or a checkout, pip takes the extra from what is
    installed and looks for no other gluonface. A checkout that is only on the path is named.
    """
    try:
        importlib.metadata.distribution("gluonface")
    except importlib.metadata.PackageNotFoundError:
        root = pathlib.Path(__file__).resolve().parents[1]
        if (root / "pyproject.toml").is_file():
            return f"pip install -e '{root}[{extra}]'"
    return f"pip install 'gluonface[{extra}]'"


class GluonfaceError(Exception):
    """Base of all errors of this package. The command line exits with ``exit_status``."""

    exit_status: int = 1

    def __str__(self) -> str:
        text = one_line(super().__str__())
        # A file may hold a name of a megabyte; the end of a message says what to do.
        return text if len(text) <= _LONGEST else f"{text[:1200]} ... {text[-700:]}"


class InputError(GluonfaceError, ValueError):
    """An argument, option or configuration value that cannot be used. Exit status 2."""

    exit_status = 2


class DataError(GluonfaceError):
    """A file whose content is broken, incomplete or of another kind. Exit status 1."""


class TrainingError(GluonfaceError):
    """Training had to stop: a non-finite loss, a checkpoint that does not fit. Exit status 1."""


class MissingExtraError(GluonfaceError, ImportError):
    """An optional package is not installed. Exit status 1.

    Parameters
    ----------
    package : str
        The package that could not be imported.
    extra : str
        The extra of gluonface that installs it.
    purpose : str
        What needs it, to complete "... is needed".
    """

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(
            f"{package} is not installed; it is needed {purpose}. "
            f"Install it with: {install_command(extra)}"
        )
