"""The `gluonface` command. One file per subcommand; this one finds and runs them.

A subcommand's file defines ``add_arguments(parser)`` and ``run(args) -> int``. It imports heavy
modules inside ``run``, so that ``--help`` answers at once; it may define
``after_interrupt(args) -> str or None``, how to go on after Ctrl-C, or ``RESUMES = True`` if the
same command does. A group of commands
(`gluonface data ...`) sets ``GROUP = True`` and calls `_commands.add_group` instead.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys

from .. import __version__
from ..errors import GluonfaceError, LogLine, one_line
from ._commands import OUTPUTS, add_command, require_no_input_as_output
from ._interrupt import Interrupt
from ._terminal import plain_streams

__all__ = ["main"]

# command -> (module, one line for --help). The line stands here so that the list of commands
# is printed without importing any of them.
COMMANDS = {
    "train": ("train", "train a model, or go on with an interrupted run"),
    "eval": ("eval", "evaluate a model or stored embeddings"),
    "embed": ("embed", "write the embeddings of images to a file"),
    "calibrate": ("calibrate", "measure what scores mean: thresholds, error rates, likelihoods"),
    "compare": ("compare", "say whether two pictures show one person, and how sure that is"),
    "compare-published": ("compare_published", "put a result beside the published rows"),
    "export": ("export", "write a model as symbol + params (and ONNX)"),
    "import": ("import_", "read weights of other toolkits into a model of ours"),
    "models": ("models", "list the backbones"),
    "losses": ("losses", "list the losses"),
    "gallery": ("gallery", "keep the people that a system knows"),
    "identify": ("identify", "say who of a gallery is on a picture"),
    "cluster": ("cluster", "say which faces of many belong together"),
    "data": ("data", "make, inspect and check training data"),
    "install-horovod": ("install_horovod", "build Horovod for this installation's MXNet"),
    "doctor": ("doctor", "show versions, engines, devices, and what is missing for what"),
    "cache": ("cache", "show what is cached on this machine, or clear it"),
    "bench": ("bench", "measure speed against a baseline in the same run"),
}


class _Help(argparse.HelpFormatter):
    """Puts the line of a command beside its name, also of the longest one."""

    def add_argument(self, action):
        super().add_argument(action)
        self._action_max_length = max(self._action_max_length, 4 + max(map(len, COMMANDS)))


def _build_parser(command=None):
    """Build the parser; only the subparser of `command` gets its arguments."""
    parser = argparse.ArgumentParser(
        prog="gluonface",
        description="Train, evaluate and ship face-recognition models with MXNet/Gluon.",
        epilog="`gluonface COMMAND --help` explains a command.",
        formatter_class=_Help,
    )
    parser.add_argument(
        "-V",
        "--version",
        action="version",
        version=f"gluonface {__version__}",
        help="show the version; with --verbose, what `gluonface doctor` shows",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        add_command(commands, name, f"{__name__}.{module}", summary, complete=name == command)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done, 1: failed, 2: wrong use, 130: interrupted by Ctrl-C.
    """
    with plain_streams():
        if argv is None:
            return _guarded(sys.argv[1:], alone=True)
        return _guarded(list(argv), alone=False)


def _guarded(words, alone):
    """Run the command; turn errors into a line and a status. `alone`: no program has called it."""
    called = argparse.Namespace(command=None)
    interrupt = Interrupt()
    try:
        with interrupt:
            status = _run(words, called)
            sys.stdout.flush()  # an error of it comes here, not after the last line of this program
            return status
    except BaseException as error:
        if interrupt.received or isinstance(error, KeyboardInterrupt):
            if alone:  # what is left to do is to end
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            return _report_interrupt(called)
        status = _report(error, called)
        if status is None:
            raise
        return status


def _run(words, called):
    """Run the command; its arguments become attributes of `called`."""
    if "--verbose" in words and {"-V", "--version"} & set(words):
        words = ["doctor", *(w for w in words if w not in ("--verbose", "-V", "--version"))]
    command = next((word for word in words if word in COMMANDS), None)
    called.command = command
    parser = _build_parser(command)
    try:
        args = parser.parse_args(words, called)
    except SystemExit as stop:  # argparse has printed the reason
        return int(stop.code or 0)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    handler = logging.StreamHandler()
    handler.setFormatter(LogLine("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=getattr(logging, args.log_level.upper()), handlers=[handler])
    given = vars(args)
    require_no_input_as_output(
        {f"--{name}": given[name] for name in OUTPUTS if name in given},
        [value for name, value in given.items() if name not in (*OUTPUTS, "command", "subcommand")],
    )
    return args.run(args) or 0


def _report_interrupt(called):
    """Say in one line that Ctrl-C ended the command, and how to go on; return the status."""
    how = ""
    after = getattr(called, "after_interrupt", None)
    if after is not None and (text := after(called)):
        how = f"; {text}"
    sys.stderr.write(f"{_name(called)}: interrupted{how}\n")
    _drop_output()
    return 130


def _report(error, called):
    """Tell an error in one line and return the status, or None if it is one of ours to find."""
    if isinstance(error, GluonfaceError):
        logging.getLogger("gluonface").debug("details", exc_info=True)
        sys.stderr.write(f"{_name(called)}: error: {error}\n")
        return error.exit_status
    if isinstance(error, BrokenPipeError):  # `gluonface models | head`
        _drop_output()
        return 1
    if isinstance(error, OSError):  # a full disk, a folder that may not be written
        logging.getLogger("gluonface").debug("details", exc_info=True)
        where = error.filename
        if not where and not _drop_output():
            where = "standard output"
        reason = error.strerror or error
        text = one_line(f"{f'{where}: ' if where else ''}{reason}")
        sys.stderr.write(f"{_name(called)}: error: {text}\n")
        return 1
    return None


def _name(called):
    return "gluonface" if called.command is None else f"gluonface {called.command}"


def _drop_output():
    """Write out standard output, or else drop it; return whether it was written.

    Python would try again at its end, and report a second error.
    """
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.stdout.flush()
        return False
    return True
