"""Auxiliary losses: terms added to a margin head's loss, and ways to weigh its samples.

Six kinds, named by what they take:

``embeddings``
    Embeddings and labels of the batch; added to the head's loss with a weight: centre, COCO,
    contrastive, Git, LGM, MPS, range, ring, triplet.
``losses``
    The head's losses per sample, which they replace: focal, OHEM.
``logits``
    Logits and labels: label smoothing. `gluonface.head.PartialFC` does it itself, since no process
    has all logits of a sharded head.
``teacher``
    The batch's embeddings and those of a teacher network: distillation by cosine, by distance, by
    relations (RKD) and by thresholds (EKD); added with a weight.
``teacher logits``
    Logits of student and teacher, which the head computes: distillation of class probabilities.
``memory``
    Cosines to the last embedding of each class, which the head keeps and compares with: USS.

In a recipe: ``loss: [arcface, {center: 0.01}]``. Importing this package does not import MXNet.
"""

from __future__ import annotations

import importlib
import typing

from ...errors import InputError
from ...registry import import_modules
from .._margin import LOSSES
from ._base import AUXILIARY, Auxiliary

__all__ = [
    "AUXILIARY",
    "Auxiliaries",
    "Auxiliary",
    "AuxiliaryBlock",
    "get_auxiliary",
    "list_auxiliary",
]

import_modules(__name__, __path__)  # they register their losses


def get_auxiliary(name: str, **params: typing.Any) -> Auxiliary:
    """Return the auxiliary loss registered under `name`.

    Parameters
    ----------
    name : str
        A name of `list_auxiliary`, in any case.
    **params
        Its parameters, see `gluonface losses NAME`.

    Raises
    ------
    InputError
        As of `gluonface.loss.get_loss`.

    Examples
    --------
    >>> get_auxiliary("center", weight=0.003)
    Center(weight=0.003, alpha=0.5)
    """
    return AUXILIARY.get(resolve_auxiliary(name))(**params)


def resolve_auxiliary(name: str) -> str:
    """Return the registered name for a name in any case or an alias; see `get_auxiliary`."""
    if name not in AUXILIARY and name in LOSSES:
        raise InputError(
            f"{name!r} is the loss of a head, not an auxiliary loss; a run has one of them, which "
            f"stands first: loss: [{name}, ...]"
        )
    return AUXILIARY.resolve(name)


def list_auxiliary(pattern: str = "*") -> list[str]:
    """Return the names of the auxiliary losses that match a shell wildcard, in natural order."""
    return AUXILIARY.list(pattern)


def __getattr__(name):
    if name in ("AuxiliaryBlock", "Auxiliaries"):  # these need MXNet
        module = importlib.import_module(
            f"{__name__}.{'_block' if name == 'AuxiliaryBlock' else '_auxiliaries'}"
        )
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
