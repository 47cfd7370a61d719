"""Turn SIGTERM and SIGINT into an orderly stop."""

import signal
import threading

__all__ = ["StopSignals"]

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Stop training on SIGTERM or SIGINT; a second signal ends the process at once.

    Parameters
    ----------
    every : int, default 20
        Steps between two exchanges among several processes, which stop at the same step.
    """

    def __init__(self, every=20):
        self._every = every
        self._previous = {}
        self._received = None

    def fit_start(self, trainer):
        """Install the handlers (a thread other than the main one cannot)."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)

    def step_end(self, trainer):
        """Request a stop if a process received a signal."""
        comm, received = trainer.comm, self._received is not None
        if comm.size > 1:
            if trainer.progress.step % self._every:
                return
            from ..._compat import mx

            flag = comm.allreduce(mx.nd.array([float(received)]), op="max", name="training.stop")
            with comm.waiting("in the collective 'training.stop'"):
                received = bool(flag.asscalar())
        if received:
            trainer.request_stop(self._received or "a signal to another process")

    def close(self):
        """Restore the previous handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _handle(self, number, frame):
        self._received = signal.Signals(number).name
        self.close()
