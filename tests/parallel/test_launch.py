"""What the launcher says of a job that ended."""

import pytest

from gluonface.parallel.launch import _ended_first

HOROVOD = """Horovod detected that one or more processes exited with non-zero status, thus causing \
the job to be terminated. The first process to do so was:
Process name: {}
Exit code: {}
"""
RESUME = "Training goes on from its last checkpoint with --resume."


@pytest.mark.parametrize("status", [137, -9])  # as a shell tells it, and as Python does
def test_a_killed_rank_is_named(status):
    said = _ended_first(HOROVOD.format(3, status))
    assert said.startswith(
        "rank 3 was killed by signal 9 (SIGKILL), as the system does when memory runs out, and "
    )
    assert said.endswith(RESUME)


def test_other_signals_have_nothing_to_do_with_memory():
    said = _ended_first(HOROVOD.format(0, 143))
    assert said.startswith("rank 0 was killed by signal 15 (SIGTERM), and the other ranks were")
    assert _ended_first(HOROVOD.format(0, 255)).startswith("rank 0 was killed by signal 127 (unkn")


def test_a_failure_goes_on_and_wrong_use_does_not():
    said = _ended_first(HOROVOD.format(1, 1))
    assert said.startswith("rank 1 ended with exit status 1, and the other ranks were ended.")
    assert said.endswith(RESUME)
    said = _ended_first(HOROVOD.format(1, 2))
    assert said.endswith("and the other ranks were ended. Its own messages above say why.")


def test_other_errors_are_left_alone():
    assert _ended_first("No such host") is None
