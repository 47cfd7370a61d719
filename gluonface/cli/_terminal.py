"""Standard output and standard error that show control characters instead of obeying them."""

from __future__ import annotations

import contextlib
import re
import sys
import typing

from ..errors import printable

__all__ = ["PlainText", "plain_streams"]

# What progress bars write to move the cursor: to the start of the line, lines down, lines up.
_MOVES = re.compile(r"\r?(?:\n|\x1b\[A)*")


class PlainText:
    """A text stream that writes `errors.printable` text to another stream.

    Parameters
    ----------
    stream : text stream
        It gets everything else, such as ``fileno`` and ``isatty``.
    """

    def __init__(self, stream: typing.TextIO):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`; the moves of a progress bar at its start are kept. Return its length."""
        start = _MOVES.match(text).end()  # type: ignore[union-attr]
        if start < len(text) and "\x1b" in text[:start]:  # tqdm writes these on their own
            start = 0
        self._stream.write(text[:start] + printable(text[start:]))
        return len(text)

    def writelines(self, lines: typing.Iterable[str]) -> None:
        """Write all `lines`."""
        for line in lines:
            self.write(line)


@contextlib.contextmanager
def plain_streams() -> typing.Iterator[None]:
    """Within this context ``sys.stdout`` and ``sys.stderr`` are `PlainText`."""
    before = sys.stdout, sys.stderr
    if hasattr(sys.stdout, "reconfigure"):  # a file name may have bytes that are no text
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = map(PlainText, before)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
