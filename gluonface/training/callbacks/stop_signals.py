"""Turn SIGTERM, SIGINT and SIGHUP into an orderly stop."""

import signal
import threading

__all__ = ["StopSignals"]

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopSignals:
    """Stop training on SIGTERM, SIGINT or SIGHUP; a second signal ends the process at once.

    Several processes stop at the same step, at most one after that in which a signal came: the
    wish travels with the loss, see `Trainer.stop_wish`. A launcher that ends its processes leaves
    them few seconds; Horovod's 5. SIGHUP stays ignored under ``nohup``.
    """

    def __init__(self):
        self._previous = {}
        self._trainer = None

    def fit_start(self, trainer):
        """Install the handlers (a thread other than the main one cannot)."""
        self._trainer = trainer
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                    continue
                self._previous[number] = signal.signal(number, self._handle)

    def step_end(self, trainer):
        """Request a stop if a process alone received a signal."""
        if trainer.comm.size == 1 and trainer.stop_wish is not None:
            trainer.request_stop(trainer.stop_wish)

    def close(self):
        """Restore the previous handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _handle(self, number, frame):
        self._trainer.stop_wish = signal.Signals(number).name
        self.close()
