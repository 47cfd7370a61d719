"""Start several processes: ``python -m gluonface.parallel.launch -np 2 gluonface train ...``.

This is `horovodrun` with all its options. Horovod's own command asks MXNet whether Gloo or NCCL
is built in, and fails to import it with NumPy 1.24 or newer (it then says that Gloo was not
built), because MXNet needs a name that NumPy dropped. Importing gluonface provides it, which
scripts/install-horovod.sh arranges for `horovodrun` itself; elsewhere this is the same command.
"""

import importlib.util
import runpy
import sys

__all__ = ["main"]


def main():
    """Run `horovodrun` with this process's arguments."""
    from ..errors import MissingExtraError

    if importlib.util.find_spec("horovod") is None:
        raise MissingExtraError("Horovod", "horovod", "to start several processes")
    sys.argv[0] = "horovodrun"
    runpy.run_module("horovod.runner.launch", run_name="__main__")


if __name__ == "__main__":  # Horovod starts helper processes that import this file again
    from gluonface.errors import GluonfaceError

    try:
        main()
    except GluonfaceError as error:
        sys.stderr.write(f"gluonface.parallel.launch: error: {error}\n")
        sys.exit(error.exit_status)
