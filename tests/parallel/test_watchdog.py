"""What a rank says when it waits for others."""

import logging
import time

import pytest

from gluonface.parallel import watchdog

notes = {}


class RankNotes:
    """In place of the one on the launcher's server."""

    def __init__(self, topic, timeout):
        self.write = notes.__setitem__
        self.delete = notes.pop

    def missing(self, size):
        return [rank for rank in range(size) if rank not in notes]


class NoServer(RankNotes):
    def missing(self, size):
        raise ConnectionRefusedError

    def __init__(self, topic, timeout):
        self.write = self.delete = lambda *note: self.missing(0)


@pytest.fixture
def make(monkeypatch, caplog):
    """Return a maker of watchdogs that end their thread where they would end the process."""
    notes.clear()
    caplog.set_level(logging.INFO)

    def ended(status):
        raise RuntimeError

    monkeypatch.setattr(watchdog.os, "_exit", ended)
    monkeypatch.setattr(watchdog, "RankNotes", RankNotes)

    def maker(rank, size, late="0.12", hangs="0"):
        monkeypatch.setenv("HOROVOD_STALL_CHECK_TIME_SECONDS", late)
        monkeypatch.setenv("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", hangs)
        dogs.append(watchdog.Watchdog(rank, size))
        return dogs[-1]

    dogs = []
    yield maker
    for dog in dogs:
        dog.close()


def until(found):
    for _ in range(1000):
        if found():
            return
        time.sleep(0.01)
    pytest.fail("nothing happened")


def test_all_that_wait_name_the_one_that_does_not(make, caplog):
    for rank in (0, 1):
        dog = make(rank, 3)
        dog.sent("training.loss")
        wait = dog.begin("in the collective 'head.x'")
    until(lambda: caplog.text.count("has waited") == 2)
    for rank in (0, 1):
        assert f"rank {rank} has waited 0 s in the collective 'head.x'" in caplog.text
    assert caplog.text.count("(sent before: 'training.loss') for rank 2\n") == 2
    assert "ends the job" not in caplog.text
    dog.end(wait)
    until(lambda: list(notes) == [0])  # it waits no more, so it may be the next to be missed


def test_another_thread_that_has_what_it_waited_for_changes_nothing(make, caplog):
    dog = make(0, 2)
    dog.begin("for the numbers of step 5")
    dog.end(dog.begin("in the collective 'head.grad'"))
    until(lambda: "for the numbers of step 5 for rank 1" in caplog.text)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_job_ends(make, caplog):
    make(0, 2, hangs="0.3").begin("in the collective 'head.x'")
    until(lambda: "rank 0 gives up and ends the job: it waited 0 s in the coll" in caplog.text)


def test_without_the_launchers_server(make, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "RankNotes", NoServer)
    make(1, 2).begin("in the collective 'head.x'")
    until(lambda: "'head.x' for the ranks that do not say so" in caplog.text)


def test_nothing_is_watched_when_it_is_switched_off(make):
    make(0, 2, late="0").begin("in the collective 'head.x'")
    time.sleep(0.05)
    assert not notes
