"""Which process of a run has ended, when a collective fails."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from .agreement import exchange
from .communicator import Communicator

__all__ = ["PeerMonitor"]


class PeerMonitor:
    """An idle connection between every two processes, which breaks when one of them ends.

    Horovod reports that a collective failed, not which process caused it. Making a monitor is a
    collective. Processes that cannot reach each other are left out, and never reported.

    Parameters
    ----------
    comm : Local or Horovod
    """

    def __init__(self, comm: Communicator):
        self._comm = comm
        self._outgoing: dict[int, socket.socket] = {}
        self._incoming: list[socket.socket] = []
        if comm.size == 1:
            return
        self._server = socket.socket()
        self._server.bind(("", 0))
        self._server.listen(comm.size)
        threading.Thread(target=self._accept, daemon=True, name="peer monitor").start()
        mine = {"port": self._server.getsockname()[1], "addresses": _addresses()}
        everyone = exchange(comm, mine, "training.peers")
        for rank, entry in enumerate(everyone):
            if rank == comm.rank:
                continue
            near = entry["addresses"][0] == mine["addresses"][0]  # the same host name
            for address in ["127.0.0.1"] if near else entry["addresses"][1:]:
                with contextlib.suppress(OSError):
                    connection = socket.create_connection((address, entry["port"]), timeout=3)
                    connection.setblocking(False)
                    self._outgoing[rank] = connection
                    break

    def ended(self, wait: float = 3.0) -> list[int]:
        """Return the ranks whose process has ended, waiting up to `wait` seconds for the first."""
        until = time.monotonic() + wait
        while True:
            found = [rank for rank, peer in sorted(self._outgoing.items()) if _is_closed(peer)]
            if found or time.monotonic() > until:
                return found
            time.sleep(0.05)

    def end_without_report(self) -> None:
        """Tell the others not to report this process: it ends because another one did."""
        for each in self._incoming:
            with contextlib.suppress(OSError):
                each.send(b".")

    def close(self) -> None:
        """Close the connections."""
        if self._comm.size > 1:
            for each in (self._server, *self._outgoing.values(), *self._incoming):
                each.close()
            self._outgoing, self._incoming = {}, []

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                self._incoming.append(self._server.accept()[0])


def _addresses():
    """Return this host's name, and addresses under which others may reach it."""
    name = socket.gethostname()
    addresses = [name, name]
    with contextlib.suppress(OSError):
        addresses += socket.gethostbyname_ex(name)[2]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("10.255.255.255", 1))  # sends nothing; chooses the route to other hosts
        addresses.append(probe.getsockname()[0])
    return addresses


def _is_closed(connection):
    """Return whether the process at the other end is gone without `end_without_report`."""
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
