"""Start several processes: ``python -m gluonface.parallel.launch -np 2 gluonface train ...``.

This is `horovodrun` with all its options. Horovod's own command asks MXNet whether Gloo or NCCL
is built in, and fails to import it with NumPy 1.24 or newer (it then says that Gloo was not
built), because MXNet needs a name that NumPy dropped. Importing gluonface provides it, which
scripts/install-horovod.sh arranges for `horovodrun` itself; elsewhere this is the same command.
"""

import importlib.util
import re
import runpy
import signal
import sys

__all__ = ["main"]


def main():
    """Run `horovodrun` with this process's arguments."""
    from ..errors import GluonfaceError, MissingExtraError

    if importlib.util.find_spec("horovod") is None:
        raise MissingExtraError("Horovod", "horovod", "to start several processes")
    sys.argv[0] = "horovodrun"
    try:
        runpy.run_module("horovod.runner.launch", run_name="__main__")
    except RuntimeError as error:
        message = _ended_first(str(error))
        if message is None:
            raise
        raise GluonfaceError(message) from error


def _ended_first(message):
    """Return Horovod's message of a failed job in words that name the rank, or None."""
    found = re.search(r"Process name: (\S+)\s+Exit code: (-?\d+)", message)
    if found is None:
        return None
    rank, status = found.group(1), int(found.group(2))
    number = status - 128 if status > 128 else -status  # as reported by a shell or by Python
    how = f"ended with exit status {status}"
    if number > 0:
        names = {each.value: each.name for each in signal.Signals}
        how = f"was killed by signal {number} ({names.get(number, 'unknown')})"
        if number == signal.SIGKILL:
            how += ", as the system does when memory runs out"
    text = f"rank {rank} {how}, and the other ranks were ended. Its own messages above say why."
    if status != 2:  # 2 is wrong use of the command
        text += " Training goes on from its last checkpoint with --resume."
    return text


if __name__ == "__main__":  # Horovod starts helper processes that import this file again
    from gluonface.errors import GluonfaceError

    try:
        main()
    except GluonfaceError as error:
        sys.stderr.write(f"gluonface.parallel.launch: error: {error}\n")
        sys.exit(error.exit_status)
    except KeyboardInterrupt:  # before the job began; afterwards Horovod stops it
        sys.stderr.write("gluonface.parallel.launch: interrupted\n")
        sys.exit(130)
