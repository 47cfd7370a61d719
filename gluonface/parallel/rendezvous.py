"""The launcher's rendezvous server: whether it answers, and which ranks are missing.

Horovod's own client waits without end for a program that took the port and does not speak HTTP,
and ends a process that waited too long for another one without naming it. Its check of stalled
collectives logs nothing under Gloo, so the ranks exchange what they wait for through this server.
"""

import contextlib
import http.client
import logging
import os
import secrets
import socket
import threading

from ..errors import GluonfaceError

__all__ = ["RankNotes", "checked_rendezvous", "require_rendezvous"]

logger = logging.getLogger(__name__)
TIMEOUT = 30.0  # seconds; Horovod's default of HOROVOD_GLOO_TIMEOUT_SECONDS


class RankNotes:
    """Notes of the ranks, one for each, on the server that `horovodrun` with Gloo starts.

    Parameters
    ----------
    topic : str
    environ : dict of str to str, optional
        Where the server's address is; default: that of this process. Under MPI there is none.
    timeout : float, optional
        Seconds; default: HOROVOD_GLOO_TIMEOUT_SECONDS, or 30.

    Raises
    ------
    OSError, ValueError, http.client.HTTPException
        From every method, when the server cannot be reached.
    """

    def __init__(self, topic, environ=os.environ, timeout=None):
        self.topic, self.timeout = topic, timeout or waiting_time(environ)
        self.host = environ.get("HOROVOD_GLOO_RENDEZVOUS_ADDR")
        self.port = environ.get("HOROVOD_GLOO_RENDEZVOUS_PORT")

    def write(self, rank, note):
        """Store a rank's note (bytes)."""
        self._ask("PUT", rank, note)

    def read(self, rank):
        """Return a rank's note, or None."""
        return self._ask("GET", rank)

    def delete(self, rank):
        """Delete a rank's note."""
        self._ask("DELETE", rank)

    def missing(self, size):
        """Return the ranks of 0..size-1 without a note."""
        return [rank for rank in range(size) if self.read(rank) is None]

    def _ask(self, method, rank, note=None):
        connection = http.client.HTTPConnection(self.host, int(self.port), timeout=self.timeout)
        try:
            connection.request(method, f"/gluonface.{self.topic}/{rank}", note)
            response = connection.getresponse()
            return response.read() if response.status == 200 else None
        finally:
            connection.close()


@contextlib.contextmanager
def checked_rendezvous():
    """Check the server before ``horovod.init`` in the block, and log the ranks it waits for.

    Raises
    ------
    GluonfaceError
        As `require_rendezvous`.
    """
    require_rendezvous()
    # Before Horovod ends the process.
    late = threading.Timer(0.8 * waiting_time(os.environ), _log_missing_ranks)
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


def require_rendezvous(environ=os.environ):
    """Raise if the environment names a launcher's server and it does not answer.

    Parameters
    ----------
    environ : dict of str to str, optional
        Default: that of this process.

    Raises
    ------
    GluonfaceError
        If nothing or another program answers there, within HOROVOD_GLOO_TIMEOUT_SECONDS (30).
    """
    notes, rank = RankNotes("here", environ), environ.get("HOROVOD_RANK", "0")
    if notes.host is None:
        return
    try:
        note = secrets.token_hex(16).encode()
        notes.write(rank, note)
        reason = None if notes.read(rank) == note else "another program has the port"
    except ConnectionRefusedError:
        reason = "nothing answers: the launcher has ended, or a firewall hides it"
    except socket.timeout:  # of which Python 3.9 makes no TimeoutError
        reason = (
            f"no answer in {notes.timeout:g} s: another program has the port, or a firewall hides "
            "it"
        )
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = f"another program has the port, or it is no address ({error or type(error)})"
    if reason is not None:
        raise GluonfaceError(
            f"rank {rank} cannot meet the other processes of the job at {notes.host}:{notes.port} "
            f"(HOROVOD_GLOO_RENDEZVOUS_ADDR, _PORT): {reason}. Start the job again with one "
            "horovodrun command, which takes a free port; on several machines name the network: "
            "--network-interfaces"
        )


def waiting_time(environ):
    """Return how long ranks wait for each other at the start, in seconds."""
    return float(environ.get("HOROVOD_GLOO_TIMEOUT_SECONDS", TIMEOUT))


def _log_missing_ranks(environ=os.environ):
    """Log which ranks have not called `require_rendezvous` yet."""
    notes, size = RankNotes("here", environ), int(environ.get("HOROVOD_SIZE", 0))
    if notes.host is None or not size:
        return
    try:
        missing = notes.missing(size)
    except (OSError, ValueError, http.client.HTTPException):
        whom = f"the launcher, which does not answer any more at {notes.host}:{notes.port}"
    else:
        whom = "the others, which have all started: name the network with --network-interfaces"
        if missing:
            missing = ", ".join(map(str, missing))
            whom = f"rank {missing} of {size} to start; what it wrote says why"
    logger.error(
        "rank %s has waited %.0f s for %s. The job ends after HOROVOD_GLOO_TIMEOUT_SECONDS = %g; "
        "a slow machine needs more",
        environ.get("HOROVOD_RANK", "0"),
        0.8 * notes.timeout,
        whom,
        notes.timeout,
    )
