"""Whether all ranks are well.

A rank that raises alone leaves the others waiting in their next collective. Here each says how it
is, and all raise together, with the rank's name and its message.
"""

import json

import numpy as np

from .._compat import mx
from ..errors import GluonfaceError, TrainingError

__all__ = ["exchange", "together"]


def exchange(comm, value, name):
    """Return the values of all ranks, in rank order. A collective.

    Parameters
    ----------
    comm : object
        Communicator.
    value : object
        Anything that JSON can hold.
    name : str
        Of the collective.
    """
    if comm.size == 1:
        return [value]
    text = json.dumps(value) + "\n"  # JSON on one line is ASCII without line ends
    mine = mx.nd.array(np.frombuffer(text.encode("ascii"), np.uint8), dtype="uint8")
    gathered = comm.allgather(mine, name=name).asnumpy().tobytes().decode("ascii")
    return [json.loads(line) for line in gathered.splitlines()]


def together(comm, function, name):
    """Return `function()`; when it fails on one rank, raise on all of them. A collective.

    Parameters
    ----------
    comm : object
        Communicator.
    function : callable
        Without collectives of its own.
    name : str
        Of the collective.

    Raises
    ------
    TrainingError
        When it is another rank that failed; this rank's own error is raised as it is.
    """
    if comm.size == 1:
        return function()
    result = failure = None
    try:
        result = function()
    except (GluonfaceError, OSError, mx.MXNetError, MemoryError) as error:
        failure = error
    texts = exchange(comm, None if failure is None else str(failure) or repr(failure), name)
    if failure is not None:
        raise failure
    for rank, text in enumerate(texts):
        if text is not None:
            raise TrainingError(f"rank {rank} failed: {text}")
    return result
