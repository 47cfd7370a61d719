"""Work that threads do ahead of the one who needs it."""

from __future__ import annotations

import collections
import typing

__all__ = ["map_ahead"]


def map_ahead(pool, function, items: typing.Iterable, ahead: int) -> typing.Generator:
    """Yield ``function(item)`` for each item, in order, computed by the threads of `pool`.

    Parameters
    ----------
    pool : concurrent.futures.Executor
    function : callable
        An exception that it raises is raised here, at its item.
    items : iterable
        Consumed as far as results are computed.
    ahead : int
        How many results may wait to be taken. When the generator is closed, those that are not
        begun are cancelled.
    """
    waiting: collections.deque = collections.deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
