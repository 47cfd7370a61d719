"""Agreement between ranks: all raise if one fails, or if they were started unlike each other.

A rank that raises alone leaves the others waiting in their next collective. Here every rank tells
the others its error or its values, and all raise together, with the rank's number and its message.
"""

from __future__ import annotations

import json
from typing import Any, Callable, TypeVar

import numpy as np

from .._compat import mx
from ..errors import GluonfaceError, InputError, TrainingError
from .communicator import Communicator

__all__ = ["agree", "exchange", "raise_on_all_ranks"]

Result = TypeVar("Result")


def exchange(comm: Communicator, value: Any, name: str) -> list:
    """Return the values of all ranks, in rank order. A collective.

    Parameters
    ----------
    comm : Local or Horovod
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


def raise_on_all_ranks(comm: Communicator, function: Callable[[], Result], name: str) -> Result:
    """Return `function()`; when it fails on one rank, raise on all of them. A collective.

    Parameters
    ----------
    comm : Local or Horovod
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
    failure = None
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


def agree(comm: Communicator, name: str, value: dict) -> None:
    """Raise the same error on every rank if the ranks do not hold equal values. A collective.

    Parameters
    ----------
    comm : Local or Horovod
    name : str
        Of the collective; the same on all ranks.
    value : dict
        Values that JSON cannot hold are compared as text. Give large ones by their digest.

    Raises
    ------
    InputError
        Naming the entries that differ, and which ranks hold which value.
    """
    found = exchange(comm, json.loads(json.dumps(value, default=str)), name)
    differences = []
    for key in sorted({key for each in found for key in each}):
        values = [json.dumps(each.get(key)) for each in found]
        if len(set(values)) > 1:
            held = [
                f"{each} on rank {', '.join(str(r) for r, v in enumerate(values) if v == each)}"
                for each in sorted(set(values), key=values.index)
            ]
            differences.append(f"{key} is {'; '.join(held)}")
    if differences:
        raise InputError(
            f"the ranks do not agree on {name}: {'. '.join(differences)}. Start all of them with "
            "the same configuration and data."
        )
