"""The template of all auxiliary losses: declared parameters, checks, description."""

from __future__ import annotations

import typing

import numpy as np

from ...errors import InputError
from ...parameters import Parameter, declare
from .._loss import Loss, LossRegistry

__all__ = ["AUXILIARY", "Auxiliary", "Parameter", "declare", "weight_parameter"]

AUXILIARY = LossRegistry("auxiliary loss")


def weight_parameter(default, more=""):
    """Return the declaration of the weight with which a loss is added to the head's."""
    return Parameter(
        default,
        "what the loss is multiplied by when it is added to the head's",
        more=more,
        above=0.0,
        why="0 would leave the loss out, and below 0 it would be made worse",
    )


class Auxiliary(Loss):
    """Template of the auxiliary losses.

    Parameters
    ----------
    **params
        Those of the class's table `parameters`; its defaults where left out.

    Attributes
    ----------
    name : str
        The registered name.
    kind : {"embeddings", "losses", "logits", "teacher", "teacher logits", "memory"}
        What the loss is called with.
    default_schedule : mapping or None
        Of the weight in a run, as it is written in a recipe.
    uses_labels : bool
        Whether it needs to know who is in an image.
    weight : float
        Of losses that are added: what to multiply them by. Calling the loss gives it without.
    """

    name = "auxiliary"
    family = "auxiliary"
    kind = "embeddings"
    default_schedule: typing.Any = None
    uses_labels = True

    def formula(self, F: typing.Any, *inputs: typing.Any) -> typing.Any:
        """Return the losses of arrays or Symbols, without state and of this process alone.

        Parameters
        ----------
        F : module
            `mxnet.nd` or `mxnet.sym`.
        *inputs : NDArray or Symbol, float32
            As the class says.
        """
        raise InputError(
            f"{self.name} has no formula on given arrays: its pairs depend on the labels. Call it "
            "with embeddings and labels"
        )

    def initialize(
        self,
        num_classes=None,
        embedding_size=None,
        comm=None,
        ctx=None,
        seed=0,
        teacher_size=None,
    ):
        """Prepare for training; nothing to do for a loss without state."""
        return self

    def collect_params(self) -> dict[str, typing.Any]:
        """Return the learned parameters as {name: gluon Parameter}; none by default."""
        return {}

    def begin(self, batches: int = 1) -> None:
        """Begin a step of so many batches; `undo` restores the state from before them."""

    def undo(self) -> None:
        """Restore the state from before the last step; nothing by default."""

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return what a checkpoint needs, as NumPy arrays; nothing by default."""
        return {}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Set the state to that of a `state_dict`."""

    @classmethod
    def describe(cls) -> dict[str, typing.Any]:
        """Return the facts for tables and docs as a dict of plain values."""
        return {**super().describe(), "kind": cls.kind}
