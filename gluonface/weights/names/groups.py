"""Find the tensors of one network among those of a checkpoint.

A training script keeps the network as an attribute (``model.``, ``net.``, ``backbone.``), a wrapper
puts ``module.`` before that, and beside it stand the tensors of a head or of a loss.
"""

from __future__ import annotations

import collections
import logging
import typing

import numpy as np

from ...errors import InputError

__all__ = ["backbone_tensors"]

logger = logging.getLogger(__name__)

# What may stand beside a backbone under the same prefix: heads, losses, aligners.
BESIDE = ("head.", "loss.", "aligner.", "fc_head.", "weight", "kernel")
COUNTER = "num_batches_tracked"
SHOWN = 6  # prefixes in a message


def backbone_tensors(
    arrays: dict[str, np.ndarray],
    modules: typing.Collection[str],
    source: typing.Any,
    prefix: str | None = None,
) -> dict[str, np.ndarray]:
    """Return the tensors of a backbone by their names without the prefix of all of them.

    The prefix is the one under which most tensors have a name of the backbone.

    Parameters
    ----------
    arrays : dict of str to numpy.ndarray
        All tensors of a file.
    modules : collection of str
        The names that the toolkit gives the modules of the backbone, and its lone parameters.
    source : str, pathlib.Path or Weights
        For messages.
    prefix : str, optional
        Take the tensors with this prefix, whatever they are.

    Returns
    -------
    dict of str to numpy.ndarray
        Tensors with other prefixes are left out, and so are those of a head beside the backbone;
        the log says which. What else has no name of the backbone is returned too.

    Raises
    ------
    InputError
        If several prefixes fit equally well, as those of a network and of its moving average; or
        no tensor has the prefix asked for.
    """
    found = collections.Counter(
        name[:place]
        for name in arrays
        if not name.endswith(COUNTER)
        for place in _fits(name, modules)
    )
    if prefix is None:
        most = max(found.values(), default=0)
        best = [key for key in found if found[key] == most]
        if len(best) > 1:
            raise InputError(
                f"{source} holds {len(best)} networks that fit, under "
                f"{', '.join(repr(key) for key in sorted(best)[:SHOWN])}; name one with --prefix"
            )
        prefix = best[0] if best else ""
    elif not any(name.startswith(prefix) for name in arrays):
        there = ", ".join(repr(key) for key, _ in found.most_common(SHOWN)) or "none that fits"
        raise InputError(f"{source} has no tensors under the prefix {prefix!r}; there is {there}")
    kept, aside = {}, {}
    for name, array in arrays.items():
        inner = name[len(prefix) :]
        mine = name.startswith(prefix)
        extra = inner.startswith(BESIDE) and not _named(inner, modules)
        if mine and not extra:
            kept[inner] = array
        else:
            aside[name] = array
    if aside:
        groups: collections.Counter[str] = collections.Counter()
        for name, array in aside.items():
            groups[name.partition(".")[0]] += array.size
        logger.info(
            "%s: left aside, as not of the network: %s",
            source,
            ", ".join(f"{key} ({size:,} numbers)" for key, size in groups.most_common(SHOWN)),
        )
    return kept


def _named(name, modules):
    return name in modules or name.rpartition(".")[0] in modules


def _fits(name, modules):
    """Yield the places in a name from which on it is one of the backbone's."""
    place = 0
    while True:
        if _named(name[place:], modules):
            yield place
        place = name.find(".", place) + 1
        if not place:
            return
