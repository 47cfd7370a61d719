"""`gluonface data verify`: exit status 1 when anything is wrong with a set or a pack."""

import sys

from ._data_common import inspection_cache

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="record folders, .rec files or .bin files"
    )


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools import inspect
    from ..data.verification_pack import is_pack
    from ..errors import DataError, one_line

    wrong = 0
    for path in args.paths:
        try:
            if is_pack(path):
                problems = inspect.inspect_pack(path, progress=True)["problems"]
            else:
                problems = inspect.inspect_records(path, cache=inspection_cache())["problems"]
        except DataError as error:
            problems = [str(error)]
        wrong += bool(problems)
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        sys.stdout.write(f"{one_line(str(path))}: {count if problems else 'good'}\n")
        for problem in problems:
            sys.stdout.write(f"  {one_line(problem)}\n")
    return 1 if wrong else 0
