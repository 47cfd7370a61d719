"""The `gluonface` command. One file per subcommand; this one finds and runs them.

A subcommand's file defines ``add_arguments(parser)`` and ``run(args) -> int``. It imports heavy
modules inside ``run``, so that ``--help`` answers at once. A group of commands
(`gluonface data ...`) sets ``GROUP = True`` and calls `_commands.add_group` instead.
"""

from __future__ import annotations

import argparse
import logging
import sys

from .. import __version__
from ..errors import GluonfaceError
from ._commands import add_command

__all__ = ["main"]

# command -> (module, one line for --help). The line stands here so that the list of commands
# is printed without importing any of them.
COMMANDS = {
    "train": ("train", "train a model, or go on with an interrupted run"),
    "eval": ("eval", "evaluate a model or stored embeddings"),
    "embed": ("embed", "write the embeddings of images to a file"),
    "calibrate": ("calibrate", "measure what scores mean: thresholds, error rates, likelihoods"),
    "compare": ("compare", "say whether two pictures show one person, and how sure that is"),
    "export": ("export", "write a model as symbol + params (and ONNX)"),
    "import": ("import_", "read weights of other toolkits into a model of ours"),
    "models": ("models", "list the backbones"),
    "losses": ("losses", "list the losses"),
    "data": ("data", "make, inspect and check training data"),
    "bench": ("bench", "measure speed against a baseline in the same run"),
}


def _build_parser(command=None):
    """Build the parser; only the subparser of `command` gets its arguments."""
    parser = argparse.ArgumentParser(
        prog="gluonface",
        description="Train, evaluate and ship face-recognition models with MXNet/Gluon.",
        epilog="`gluonface COMMAND --help` explains a command.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"gluonface {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        add_command(commands, name, f"{__name__}.{module}", summary, complete=name == command)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 failed, 2 wrong use."""
    argv = sys.argv[1:] if argv is None else list(argv)
    command = next((word for word in argv if word in COMMANDS), None)
    parser = _build_parser(command)
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has printed the reason
        return int(stop.code or 0)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    if hasattr(sys.stdout, "reconfigure"):  # a file name may have bytes that are no text
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.basicConfig(
        level=getattr(logging, args.log_level.upper()),
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    try:
        return args.run(args) or 0
    except GluonfaceError as error:
        logging.getLogger("gluonface").debug("details", exc_info=True)
        sys.stderr.write(f"gluonface {args.command}: error: {error}\n")
        return error.exit_status
    except BrokenPipeError:  # `gluonface models | head`
        sys.stderr.close()
        return 1
    except OSError as error:  # a full disk, a folder that may not be written
        logging.getLogger("gluonface").debug("details", exc_info=True)
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"gluonface {args.command}: error: {where}{error.strerror or error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"gluonface {args.command}: interrupted\n")
        return 1
