"""Log which rank is late in which collective, and end a job that waits too long."""

import collections
import http.client
import logging
import os
import threading
import time

from .rendezvous import RankNotes

__all__ = ["Watchdog"]

logger = logging.getLogger(__name__)
LATE = 60  # seconds after which a rank logs what it waits for
# Seconds after which it ends, and the launcher with it the other ranks. Horovod's own shutdown
# after this time was not seen to end a job under Gloo, nor its warnings to come.
HANGS = 600
NOTED = 0.75  # of the first: all waiting ranks have written their note before one logs


class Watchdog:
    """A thread that watches what this rank waits for.

    The times are those of HOROVOD_STALL_CHECK_TIME_SECONDS (60 unless set; 0 disables it)
    and HOROVOD_STALL_SHUTDOWN_TIME_SECONDS (600 unless set; 0 disables it).

    Parameters
    ----------
    rank, size : int
    """

    def __init__(self, rank, size):
        self._rank, self._size = rank, size
        self._log_after = float(os.environ.get("HOROVOD_STALL_CHECK_TIME_SECONDS", LATE))
        self._end_after = float(os.environ.get("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", HANGS))
        self._waits = []  # (what, since when); MXNet's threads wait as well
        self._sent = collections.deque(maxlen=4)
        self._notes = RankNotes("waits", timeout=5)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")
        if self._log_after > 0:
            self._thread.start()

    def sent(self, name):
        """Note a collective that was started and is not waited for yet."""
        self._sent.append(name)

    def begin(self, what):
        """Note that this rank waits; return what `end` takes."""
        wait = (what, time.monotonic())
        self._waits.append(wait)
        return wait

    def end(self, wait):
        """Note that the wait is over."""
        self._waits.remove(wait)

    def close(self):
        """End the thread."""
        self._closed.set()
        if self._log_after > 0:
            self._thread.join()

    def _watch(self):
        noted = told = None
        while not self._closed.wait(self._log_after / 12):
            wait = min(list(self._waits), key=lambda each: each[1], default=None)
            if noted is not None and noted is not wait:
                self._note(None)
                noted = None
            if wait is None:
                continue
            waited = time.monotonic() - wait[1]
            if noted is not wait and waited > NOTED * self._log_after:
                self._note(wait[0])
                noted = wait
            if told is not wait and waited > self._log_after:
                told = wait
                logger.warning("rank %d has waited %s", self._rank, self._describe(wait[0], waited))
            if 0 < self._end_after < waited:
                logger.critical(
                    "rank %d gives up and ends the job: it waited %s. A rank hangs or does other "
                    "work; --resume goes on from the last checkpoint, and "
                    "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS sets this time",
                    self._rank,
                    self._describe(wait[0], waited),
                )
                os._exit(1)  # Python's own thread is inside Horovod and cannot be interrupted

    def _note(self, what):
        """Tell the other ranks that this one waits, or with None that it does not."""
        try:
            if what is None:
                self._notes.delete(self._rank)
            else:
                self._notes.write(self._rank, what.encode())
        except (OSError, ValueError, TypeError, http.client.HTTPException):
            pass  # there is no launcher's server; there is the log

    def _describe(self, what, waited):
        try:
            missing = ", ".join(map(str, self._notes.missing(self._size)))
        except (OSError, ValueError, TypeError, http.client.HTTPException):
            missing = None
        whom = f"rank {missing}" if missing else "the ranks that do not say so"
        sent = ", ".join(repr(name) for name in self._sent)
        before = f" (sent before: {sent})" if sent else ""
        return f"{waited:.0f} s {what}{before} for {whom}"
