"""Ctrl-C in every command, at any moment: one line and status 130, from all its processes."""

import importlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import training_fixtures

from gluonface.cli._interrupt import Interrupt

noise_set = training_fixtures.noise_set
ROOT = pathlib.Path(__file__).resolve().parents[2]
ENDS = "the same command goes on where it stopped"


@pytest.fixture(autouse=True)
def _signals():
    """Let SIGINT raise, as in a terminal, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(words, delay, folder):
    """Start a command, send SIGINT to its processes after some seconds; return it, ended."""
    command = [sys.executable, "-m", "gluonface", *map(str, words)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        start_new_session=True, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        # A shell starts what runs in the background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def assert_one_line(done, command):
    lines = [line for line in done.stderr.splitlines() if line]
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    assert done.returncode == 130, (done.args, done.stderr)
    assert lines[-1].startswith((f"gluonface {command}: interrupted", "gluonface: interrupted"))
    assert sum("interrupted" in line for line in lines) == 1


def commands(noise_set):
    model = "mobilefacenet:untrained"
    return {
        "train": ["--data", noise_set.data, "--run", "run", "--set", "train.steps=100000"],
        "embed": ["--model", model, "--input", noise_set.data, "--out", "e.npz"],
        "export": ["--model", model, "--out", "x"],
        "eval": ["verification", "--model", model, "--pack", noise_set.pack],
        "bench": ["head", "--classes", "100000"],
        "data": ["synthesize", "--out", "faces", "--identities", "2000"],
        "models": [],
        "losses": [],
        "import": ["--from", ROOT / "none.pth", "--model", "mobilefacenet", "--out", "x.params"],
    }


# Python itself takes some 30 ms before it runs our first line; under load several times as long.
@pytest.mark.parametrize(("command", "delay"), [("train", 0.4), ("data", 1.5)])
def test_an_interrupt_is_one_line(tmp_path, noise_set, command, delay):
    """The first while MXNet is imported, the second while processes start."""
    done = interrupt([command, *commands(noise_set)[command]], delay, tmp_path)
    assert_one_line(done, command)
    if command == "data":
        assert done.stderr.rstrip().endswith(ENDS)
    assert not [path for path in tmp_path.rglob(".*.part") if command != "data"]


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.12, 0.2, 0.35, 0.5, 0.8, 1.2, 1.8, 2.5])
@pytest.mark.parametrize(
    "command", ["train", "embed", "export", "eval", "bench", "data", "models", "losses", "import"]
)
def test_an_interrupt_is_one_line_at_any_moment(tmp_path, noise_set, command, delay):
    done = interrupt([command, *commands(noise_set)[command]], delay, tmp_path)
    if "init_import_site" in done.stderr or done.returncode == -signal.SIGINT:
        pytest.skip("Python itself was starting, before any line of ours")
    if done.returncode == (command == "import"):  # it had ended; of the import with an error
        assert "Traceback" not in done.stderr
    else:
        assert_one_line(done, command)


def test_an_interrupt_waits_for_the_end_of_an_import(tmp_path, monkeypatch):
    (tmp_path / "slow_module.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\n"
        "time.sleep(0.05)\npause, DONE = time.sleep, 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    watched = Interrupt()
    began = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), watched:
        importlib.import_module("slow_module").pause(20)
    assert sys.modules.pop("slow_module").DONE == 1
    assert watched.received
    assert signal.getsignal(signal.SIGINT) is began


def test_an_interrupt_that_waits_at_the_end_is_not_lost(tmp_path, monkeypatch):
    (tmp_path / "last_module.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt), Interrupt():
        import last_module  # noqa: F401
    sys.modules.pop("last_module")


def test_a_handler_of_the_caller_is_left_alone():
    came = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        with Interrupt() as watched:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        assert came == [signal.SIGINT]
        assert not watched.received
    finally:
        signal.signal(signal.SIGINT, previous)


@pytest.mark.parametrize("error", [ImportError("numpy failed"), OSError(5, "io"), ValueError("x")])
def test_what_an_interrupt_became_on_its_way_is_one_too(capsys, monkeypatch, error):
    from gluonface.cli import main, models

    def swallow(args):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            raise error from None

    monkeypatch.setattr(models, "run", swallow)
    assert main(["models"]) == 130
    assert capsys.readouterr().err == "gluonface models: interrupted\n"


def test_an_interrupt_after_the_work_changes_nothing():
    code = (
        "import atexit, os, signal\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "import sys; sys.argv = ['gluonface', 'losses']\n"
        "from gluonface.__main__ import run; sys.exit(run())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gluonface", "data", "catalog"],
            stdout=full, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "gluonface data: error: standard output: No space left on device\n"
