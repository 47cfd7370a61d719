"""`python -m gluonface` runs the command `gluonface`."""

import sys


def run():
    """Run the command; also Ctrl-C while it is imported is told in one line."""
    try:
        from .cli import main
    except KeyboardInterrupt:
        sys.stderr.write("gluonface: interrupted\n")
        return 130
    return main()


if __name__ == "__main__":
    sys.exit(run())
