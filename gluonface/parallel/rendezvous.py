"""Where the processes of a job meet: the launcher's server, who came there, and who did not.

Horovod's own client waits without end for a program that took the port and does not speak HTTP,
and ends a process that waited too long for another one without saying which.
"""

import contextlib
import http.client
import logging
import os
import secrets
import socket
import threading

from ..errors import GluonfaceError

__all__ = ["meeting", "require_rendezvous"]

logger = logging.getLogger(__name__)
TIMEOUT = 30.0  # seconds; Horovod's default of HOROVOD_GLOO_TIMEOUT_SECONDS
PLACE = "/gluonface.here/"


@contextlib.contextmanager
def meeting():
    """Around ``horovod.init``: check the address before, and say who is missing.

    Raises
    ------
    GluonfaceError
        As `require_rendezvous`.
    """
    require_rendezvous()
    late = threading.Timer(
        0.8 * _timeout(os.environ), _say_who_is_missing
    )  # before Horovod ends it
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


def require_rendezvous(environ=os.environ):
    """Raise unless the launcher's server is where the environment says, if it says.

    `horovodrun` with Gloo gives each process the address; under MPI there is none.

    Parameters
    ----------
    environ : dict of str to str, optional
        Default: that of this process.

    Raises
    ------
    GluonfaceError
        If nothing or another program answers there, within HOROVOD_GLOO_TIMEOUT_SECONDS (30).
    """
    host, port = _address(environ)
    if host is None:
        return
    rank, timeout = environ.get("HOROVOD_RANK", "0"), _timeout(environ)
    try:
        value = secrets.token_hex(16).encode()
        _ask(host, port, timeout, "PUT", rank, value)
        same = _ask(host, port, timeout, "GET", rank) == value
        reason = None if same else "another program has the port"
    except ConnectionRefusedError:
        reason = "nothing answers: the launcher has ended, or a firewall hides it"
    except socket.timeout:  # of which Python 3.9 makes no TimeoutError
        reason = f"no answer in {timeout:g} s: another program has the port, or a firewall hides it"
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = f"another program has the port, or it is no address ({error or type(error)})"
    if reason is not None:
        raise GluonfaceError(
            f"rank {rank} cannot meet the other processes of the job at {host}:{port} "
            f"(HOROVOD_GLOO_RENDEZVOUS_ADDR, _PORT): {reason}. Start the job again with one "
            "horovodrun command, which takes a free port; on several machines name the network: "
            "--network-interfaces"
        )


def _say_who_is_missing(environ=os.environ):
    """Log which ranks have not called `require_rendezvous`."""
    host, port = _address(environ)
    rank, size = environ.get("HOROVOD_RANK", "0"), int(environ.get("HOROVOD_SIZE", 0))
    if host is None or not size:
        return
    timeout, missing = _timeout(environ), None
    with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
        came = [_ask(host, port, timeout, "GET", other) for other in range(size)]
        missing = ", ".join(str(other) for other, found in enumerate(came) if found is None)
    if missing is None:
        what = f"the launcher, which does not answer any more at {host}:{port}"
    elif missing:
        what = f"rank {missing} of {size} to start; what it wrote says why"
    else:
        what = "the others, which have all started: name the network with --network-interfaces"
    logger.error(
        "rank %s has waited %.0f s for %s. The job ends after HOROVOD_GLOO_TIMEOUT_SECONDS = %g; "
        "a slow machine needs more",
        rank,
        0.8 * timeout,
        what,
        timeout,
    )


def _address(environ):
    return environ.get("HOROVOD_GLOO_RENDEZVOUS_ADDR"), environ.get("HOROVOD_GLOO_RENDEZVOUS_PORT")


def _timeout(environ):
    return float(environ.get("HOROVOD_GLOO_TIMEOUT_SECONDS", TIMEOUT))


def _ask(host, port, timeout, method, rank, value=None):
    """Return what the server has of a rank, or None, as also for what is no such server."""
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request(method, f"{PLACE}{rank}", value)
        response = connection.getresponse()
        return response.read() if response.status == 200 else None
    finally:
        connection.close()
