"""`python -m gluonface` runs the command `gluonface`."""

import signal
import sys


def run():
    """Run the command; also Ctrl-C while it is imported is told in one line."""
    try:
        from .cli import main
    except KeyboardInterrupt:
        sys.stderr.write("gluonface: interrupted\n")
        return 130
    try:
        return main()
    finally:  # the work is done; Python takes a moment to end
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(run())
