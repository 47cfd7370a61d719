"""The address where the processes of a job meet: the launcher's server, and others."""

import contextlib
import http.server
import socket
import threading

import pytest

from gluonface.errors import GluonfaceError
from gluonface.parallel.rendezvous import RankNotes, _log_missing_ranks, require_rendezvous


def environ(port, timeout=30):
    return {
        "HOROVOD_RANK": "3",
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": "127.0.0.1",
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(timeout),
    }


@contextlib.contextmanager
def listening(answer=None):
    """Yield the port of a program that answers a fixed text, or nothing, to whoever comes."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(8)

        def serve():
            with contextlib.suppress(OSError):  # closed
                while True:
                    connection = taken.accept()[0]
                    with connection:
                        connection.recv(100)
                        connection.sendall(answer)

        if answer is not None:
            threading.Thread(target=serve, daemon=True).start()
        yield taken.getsockname()[1]
        taken.shutdown(socket.SHUT_RDWR)


def refused(port, timeout=30):
    with pytest.raises(
        GluonfaceError, match="one horovodrun command, which takes a free"
    ) as caught:
        require_rendezvous(environ(port, timeout))
    return str(caught.value)


def test_without_an_address_there_is_nothing_to_check():
    require_rendezvous({})


def test_a_program_that_does_not_answer():
    with listening() as port:
        said = refused(port, 0.2)
    assert said.startswith(f"rank 3 cannot meet the other processes of the job at 127.0.0.1:{port}")
    assert "no answer in 0.2 s: another program has the port" in said


@pytest.mark.parametrize("answer", [b"220 mail\r\n", b"HTTP/1.0 200 OK\r\n\r\nhere", b""])
def test_a_program_that_answers_something_else(answer):
    with listening(answer) as port:
        assert ": another program has the port" in refused(port)


def test_a_web_server(tmp_path):
    """Of the same Python class as Horovod's own, but it stores nothing."""
    handler = http.server.SimpleHTTPRequestHandler
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert ": another program has the port" in refused(server.server_address[1])
        server.shutdown()


def test_nothing_at_all():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "nothing answers" in refused(port)
    assert "another program has the port, or it is no address" in refused("port")


@pytest.fixture
def server():
    server = pytest.importorskip("horovod.runner.http.http_server").RendezvousServer()
    port = server.start()
    server.init([])
    yield port
    server.stop()
    server._httpd.server_close()


def test_the_launchers_own_server(server):
    for _ in range(2):
        require_rendezvous(environ(server))


def test_notes_of_ranks(server):
    notes = RankNotes("test", environ(server))
    notes.write(1, b"here")
    assert notes.read(1) == b"here"
    assert notes.missing(3) == [0, 2]
    notes.delete(1)
    assert notes.missing(3) == [0, 1, 2]


def test_who_is_missing_is_known(server, caplog):
    came = environ(server)
    require_rendezvous(came)
    require_rendezvous({**came, "HOROVOD_RANK": "1"})
    _log_missing_ranks({**came, "HOROVOD_SIZE": "5"})
    assert "rank 3 has waited 24 s for rank 0, 2, 4 of 5 to start" in caplog.text
    caplog.clear()
    require_rendezvous({**came, "HOROVOD_RANK": "0"})
    _log_missing_ranks({**came, "HOROVOD_SIZE": "2"})
    assert "the others, which have all started: name the network" in caplog.text


def test_who_is_missing_when_the_launcher_is_gone(caplog):
    with listening(b"") as port:
        _log_missing_ranks({**environ(port), "HOROVOD_SIZE": "2"})
    assert "for the launcher, which does not answer any more" in caplog.text
