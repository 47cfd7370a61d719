"""Signals."""

import os
import signal

from callback_cases import trainer_at

from gluonface.training.callbacks import StopSignals


def test_signals_ask_to_stop_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    stops = []
    trainer = trainer_at(1, request_stop=stops.append)
    watch = StopSignals()
    watch.fit_start(trainer)
    watch.step_end(trainer)
    assert stops == []
    os.kill(os.getpid(), signal.SIGTERM)
    watch.step_end(trainer)
    assert stops == ["SIGTERM"]
    assert signal.getsignal(signal.SIGTERM) == before  # a second one ends the process at once
    watch.close()
