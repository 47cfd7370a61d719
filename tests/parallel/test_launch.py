"""What the launcher says of a job that ended."""

import pytest

from gluonface.errors import GluonfaceError
from gluonface.parallel import launch

HOROVOD = """Horovod detected that one or more processes exited with non-zero status, thus causing \
the job to be terminated. The first process to do so was:
Process name: {}
Exit code: {}
"""
OTHERS = "and the other ranks were ended. Its own messages above say why."
RESUME = " Training goes on from its last checkpoint with --resume."
MEMORY = ", as the system does when memory runs out, "


@pytest.fixture
def said(monkeypatch):
    """Return a function that gives what the launcher makes of Horovod's error."""

    def run(text):
        def failed(*args, **kwargs):
            raise RuntimeError(text)

        monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: True)
        monkeypatch.setattr(launch.runpy, "run_module", failed)
        monkeypatch.setattr(launch.sys, "argv", ["launch"])
        with pytest.raises((GluonfaceError, RuntimeError)) as caught:
            launch.main()
        return str(caught.value)

    return run


@pytest.mark.parametrize(
    ("status", "words"),
    [
        # As a shell tells it, and as Python does.
        (137, f"rank 3 was killed by signal 9 (SIGKILL){MEMORY}{OTHERS}{RESUME}"),
        (-9, f"rank 3 was killed by signal 9 (SIGKILL){MEMORY}{OTHERS}{RESUME}"),
        (143, f"rank 3 was killed by signal 15 (SIGTERM), {OTHERS}{RESUME}"),
        (255, f"rank 3 was killed by signal 127 (unknown), {OTHERS}{RESUME}"),
        (1, f"rank 3 ended with exit status 1, {OTHERS}{RESUME}"),
        (2, f"rank 3 ended with exit status 2, {OTHERS}"),  # wrong use: nothing to go on with
    ],
)
def test_a_job_that_failed_names_the_rank(said, status, words):
    assert said(HOROVOD.format(3, status)) == words


def test_other_errors_are_left_alone(said):
    assert said("No such host") == "No such host"
