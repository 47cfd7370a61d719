"""Ctrl-C as `KeyboardInterrupt` at a moment when that is one, and not in the middle of an import.

An interrupt that Python raises while a compiled module is imported comes out of it as an
ImportError, which is then told as a package that is missing or broken, or replaced by another one.
In a destructor it is printed and forgotten. So it waits until these are done.
"""

from __future__ import annotations

import signal
import threading
import types
from typing import Any

__all__ = ["Interrupt"]

AGAIN = 0.01  # seconds until the next look at whether it can be raised


class Interrupt:
    """A context in which SIGINT raises `KeyboardInterrupt` as soon as nothing would swallow it.

    It changes nothing in other threads than the main one, and where SIGINT is ignored or handled
    by the caller.

    Attributes
    ----------
    received : bool
        Whether SIGINT has come. An error after it, of whatever kind, is its consequence.
    """

    def __init__(self) -> None:
        self.received = False
        self._alarm: Any = None
        self._installed = False

    def __enter__(self) -> Interrupt:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        waits = self._alarm is not None
        self._disarm()
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if waits and kind is None:  # whoever started this command must know of it
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        self.received = True
        if not _must_wait(frame):
            self._disarm()
            raise KeyboardInterrupt
        if self._alarm is None:
            self._alarm = signal.signal(signal.SIGALRM, self._handle)
        signal.setitimer(signal.ITIMER_REAL, AGAIN)

    def _disarm(self) -> None:
        if self._alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)
            self._alarm = None


def _must_wait(frame: types.FrameType | None) -> bool:
    """Return whether an import or a destructor is under way."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib") or code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
