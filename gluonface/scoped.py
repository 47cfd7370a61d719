"""Settings that hold within a block of code, in the thread that runs it."""

import contextlib
import threading

__all__ = ["Scoped"]


class Scoped(threading.local):
    """Attributes with a value for each thread.

    Parameters
    ----------
    **values
        Names and what they are outside of any `within`.
    """

    def __init__(self, **values):
        self.__dict__.update(values)  # threading.local calls this in every thread

    @contextlib.contextmanager
    def within(self, name, value):
        """Within the block the attribute `name` is `value`; then it is what it was before."""
        previous = getattr(self, name)
        setattr(self, name, value)
        try:
            yield
        finally:
            setattr(self, name, previous)
