"""Who is still there: tells which process of a run has ended when a collective fails."""

import contextlib
import socket
import threading
import time

from .agreement import exchange

__all__ = ["RollCall"]


class RollCall:
    """A quiet connection between every two processes, which breaks when one of them ends.

    Horovod says that a collective failed, not whose fault it was. Making one is a collective.
    Processes that cannot reach each other are left out: nothing is said of them.

    Parameters
    ----------
    comm : object
        Communicator.
    """

    def __init__(self, comm):
        self._comm = comm
        self._peers, self._kept = {}, []
        if comm.size == 1:
            return
        self._server = socket.socket()
        self._server.bind(("", 0))
        self._server.listen(comm.size)
        threading.Thread(target=self._accept, daemon=True, name="roll call").start()
        mine = {"port": self._server.getsockname()[1], "places": _places()}
        everyone = exchange(comm, mine, "training.roll_call")
        for rank, entry in enumerate(everyone):
            if rank == comm.rank:
                continue
            near = entry["places"][0] == mine["places"][0]  # the same host name
            for place in ["127.0.0.1"] if near else entry["places"][1:]:
                with contextlib.suppress(OSError):
                    connection = socket.create_connection((place, entry["port"]), timeout=3)
                    connection.setblocking(False)
                    self._peers[rank] = connection
                    break

    def ended(self, wait=3.0):
        """Return the ranks whose process has ended, waiting up to `wait` seconds for the first."""
        until = time.monotonic() + wait
        while True:
            found = [rank for rank, peer in sorted(self._peers.items()) if _is_closed(peer)]
            if found or time.monotonic() > until:
                return found
            time.sleep(0.05)

    def excuse(self):
        """Tell the others that this process ends because of another one."""
        for each in self._kept:
            with contextlib.suppress(OSError):
                each.send(b".")

    def close(self):
        """Close the connections."""
        if self._comm.size > 1:
            for each in (self._server, *self._peers.values(), *self._kept):
                each.close()
            self._peers, self._kept = {}, []

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                self._kept.append(self._server.accept()[0])


def _places():
    """Return this host's name, and addresses under which others may reach it."""
    name = socket.gethostname()
    places = [name, name]
    with contextlib.suppress(OSError):
        places += socket.gethostbyname_ex(name)[2]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("10.255.255.255", 1))  # sends nothing; chooses the way out
        places.append(probe.getsockname()[0])
    return places


def _is_closed(connection):
    """Whether the process at the other end is gone, and has not excused itself."""
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
