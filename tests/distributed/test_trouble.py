"""What the user is told when processes of a job are late, cannot meet, or lack a part."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import pytest
from two_processes import launch

ROOT = pathlib.Path(__file__).resolve().parents[2]
LATE = """
import logging, sys, time
logging.basicConfig(stream=sys.stderr)
from gluonface._compat import mx
from gluonface.parallel import Horovod
comm = Horovod()
comm.barrier("all.here")
if comm.rank == 1:
    time.sleep(10**6)
comm.allgather(mx.nd.ones((2, 8)), name="head.x")
"""
ALONE = """
from gluonface.errors import GluonfaceError
from gluonface.parallel import Horovod
try:
    Horovod()
except GluonfaceError as error:
    print(type(error).__name__, error)
"""
PORT = "HOROVOD_GLOO_RENDEZVOUS_PORT"

pytestmark = pytest.mark.slow


def test_a_late_collective_is_named_and_then_ends_the_job(monkeypatch):
    monkeypatch.setenv("HOROVOD_STALL_CHECK_TIME_SECONDS", "3")
    monkeypatch.setenv("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", "8")
    monkeypatch.setenv("HOROVOD_GLOO_TIMEOUT_SECONDS", "600")  # the machine may be busy
    begin = time.monotonic()
    done = launch(2, sys.executable, "-c", LATE)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert re.search(r"rank 0 has waited \d+ s in the collective 'head.x' for rank 1\n", said)
    assert "rank 1 has waited" not in said
    assert "rank 0 gives up and ends the job" in said
    assert time.monotonic() - begin < 200  # it would sleep for days


def alone(folder=None, code=ALONE, **environment):
    """Run code in a process of its own and return what it printed."""
    path = [str(folder)] if folder else []
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([*path, str(ROOT)]),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout + done.stderr


def test_horovod_that_is_missing():
    hide = "import sys; sys.modules['horovod'] = None\n"
    find = "import importlib.util as u; f = u.find_spec\n"
    find += "u.find_spec = lambda n, *a: None if n == 'horovod' else f(n, *a)\n"
    said = alone(code=hide + find + ALONE)
    assert said.startswith("MissingExtraError")
    assert "gluonface[horovod]" in said


def test_horovod_that_was_built_without_mxnet(tmp_path):
    """As its own wheels are: horovod.mxnet is there, and says so when it is imported."""
    package = tmp_path / "horovod" / "mxnet"
    package.mkdir(parents=True)
    (tmp_path / "horovod" / "__init__.py").write_text("")
    (package / "__init__.py").write_text(
        "raise ImportError('Extension horovod.mxnet has not been built')"
    )
    said = alone(tmp_path)
    assert said.startswith("GluonfaceError")
    assert "has not been built" in said
    assert "HOROVOD_WITH_MXNET=1" in said


def ranks_of_two(port, *ranks, late=10):
    """Start ranks of a job of two that meet at a port; return {rank: what it said}, when ended."""
    pytest.importorskip("horovod")
    started = {
        rank: subprocess.Popen(
            [sys.executable, "-c", "import logging; logging.basicConfig()\n" + ALONE],
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": str(ROOT),
                "HOROVOD_RANK": str(rank),
                "HOROVOD_SIZE": "2",
                "HOROVOD_LOCAL_RANK": str(rank),
                "HOROVOD_LOCAL_SIZE": "2",
                "HOROVOD_CROSS_RANK": "0",
                "HOROVOD_CROSS_SIZE": "1",
                "HOROVOD_CONTROLLER": "gloo",
                "HOROVOD_CPU_OPERATIONS": "gloo",
                "HOROVOD_HOSTNAME": "localhost",
                "HOROVOD_GLOO_IFACE": "lo",
                "HOROVOD_GLOO_RENDEZVOUS_ADDR": "127.0.0.1",
                PORT: str(port),
                "HOROVOD_GLOO_TIMEOUT_SECONDS": str(late),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in ranks
    }
    try:
        return {rank: process.communicate(timeout=200)[0] for rank, process in started.items()}
    finally:
        for process in started.values():
            process.kill()


def test_a_port_that_another_program_has():
    """The processes meet at a port; here something answers there that never says a word."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(8)
        port = taken.getsockname()[1]
        said = ranks_of_two(port, 0, 1, late=3)
    for rank in (0, 1):
        assert said[rank].startswith(
            f"GluonfaceError rank {rank} cannot meet the other processes of the job at "
            f"127.0.0.1:{port}"
        )
        assert "no answer in 3 s: another program has the port" in said[rank]
        assert "Start the job again" in said[rank]


def test_a_rank_that_never_starts_is_named():
    http = pytest.importorskip("horovod.runner.http.http_server")
    server = http.RendezvousServer()
    port = server.start()
    try:
        server.init([])
        said = ranks_of_two(port, 0)[0]
    finally:
        server.stop()
    assert "rank 0 has waited 8 s for rank 1 of 2 to start" in said
    assert "HOROVOD_GLOO_TIMEOUT_SECONDS = 10" in said


TAKEN = """
import random, runpy, sys
port = int(sys.argv.pop(1))
drawn = []
def draw(low, high, original=random.randrange):  # Horovod's launcher tries this port first
    drawn.append(port - 1024 if (low, high) == (0, 65536 - 1024) else original(low, high))
    return drawn[-1]
random.randrange = draw
try:
    runpy.run_module("gluonface.parallel.launch", run_name="__main__")
finally:
    sys.stderr.write(f"drawn {drawn}")
"""


def test_a_launcher_takes_the_next_port():
    pytest.importorskip("horovod")
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen(8)
        port = taken.getsockname()[1]
        command = [sys.executable, "-c", TAKEN, str(port), "-np", "2", "--gloo", sys.executable]
        path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            [*command, "-c", f"import os\n{ALONE}\nprint('met not at', os.environ['{PORT}'])"],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert f"drawn [{port - 1024}" in said
    assert said.count("met not at ") == 2
    assert f"met not at {port}\n" not in said
