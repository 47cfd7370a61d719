"""Turn SIGTERM and SIGINT into an orderly stop."""

import signal
import threading

__all__ = ["StopSignals"]

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Ask the trainer to stop when the process is told to; a second signal ends it at once.

    Parameters
    ----------
    every : int, default 20
        With several processes all must stop at the same step; they agree every so many steps.
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
        """Pass a signal on."""
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
        """Put the previous handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _handle(self, number, frame):
        self._received = signal.Signals(number).name
        self.close()
