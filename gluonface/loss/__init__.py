"""Margin losses: formulas on cosines, found by name.

A margin (`get_loss`) holds no weight. Two classes make a loss of it, by the same formula:
`gluonface.head.PartialFC` owns the class centres and runs it on one or many processes;
`MarginSoftmaxLoss` is an ordinary Gluon block from cosines and labels to losses.

Importing this package does not import MXNet.
"""

from __future__ import annotations

import typing

from ..errors import InputError
from ..registry import import_modules
from ._margin import LOSSES, Margin

__all__ = ["LOSSES", "Margin", "MarginSoftmaxLoss", "get_loss", "list_losses"]

import_modules(__name__, __path__)  # they register their losses


def get_loss(name: str, **params: typing.Any) -> Margin:
    """Return the margin registered under `name`.

    Parameters
    ----------
    name : str
        A name of `list_losses`, in any case.
    **params
        The loss's own parameters, such as ``margin`` in radians and ``scale``; the paper's
        values where left out. ``gluonface losses NAME`` lists them.

    Returns
    -------
    Margin

    Raises
    ------
    InputError
        If the name or a parameter is unknown, or a value is out of range.

    Examples
    --------
    >>> get_loss("arcface", margin=0.3)
    ArcFace(margin=0.3, scale=64.0, policy='hard')
    """
    if name not in LOSSES:
        from .auxiliary import AUXILIARY

        if name in AUXILIARY:
            raise InputError(
                f"{name!r} is an auxiliary loss; it is added to a head's loss, as in a recipe's "
                f"loss: [arcface, {name}]"
            )
    return LOSSES.get(name)(**params)


def list_losses(pattern: str = "*") -> list[str]:
    """Return the names of the losses that match a shell wildcard, in natural order."""
    return LOSSES.list(pattern)


def __getattr__(name):
    if name == "MarginSoftmaxLoss":  # a Gluon block, so it needs MXNet
        from ._block import MarginSoftmaxLoss

        return MarginSoftmaxLoss
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
