"""Signals."""

import os
import signal

import pytest
from callback_cases import trainer_at

from gluonface.training.callbacks import StopSignals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_ask_to_stop_and_handlers_are_put_back(number):
    before = signal.signal(number, signal.default_int_handler)  # under nohup one is ignored
    stops = []
    trainer = trainer_at(1, request_stop=stops.append)
    watch = StopSignals()
    watch.fit_start(trainer)
    watch.step_end(trainer)
    assert stops == []
    os.kill(os.getpid(), number)
    watch.step_end(trainer)
    assert stops == [signal.Signals(number).name]
    # A second one does what it did before.
    assert signal.signal(number, before) == signal.default_int_handler
    watch.close()


def test_a_hangup_stays_ignored_under_nohup():
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        trainer = trainer_at(1)
        watch = StopSignals()
        watch.fit_start(trainer)
        os.kill(os.getpid(), signal.SIGHUP)
        assert trainer.stop_wish is None
        watch.close()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, previous)
