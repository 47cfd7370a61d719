"""The template of all auxiliary losses: declared parameters, checks, description."""

from ...errors import InputError
from ...parameters import Parameter, declare
from ...registry import Registry
from .._loss import Loss

__all__ = ["AUXILIARY", "Auxiliary", "Flag", "declare", "weight_parameter"]

AUXILIARY = Registry("auxiliary loss")


class Flag(Parameter):
    """A parameter that is true or false."""

    def __init__(self, default, doc):
        super().__init__(default, doc, choices=(True, False))

    def check(self, owner, name, value):
        """Return `value` if it is a bool, or raise `InputError`."""
        if isinstance(value, bool):
            return value
        raise InputError(f"{owner}: {name}={value!r} is not allowed; it must be true or false.")


def weight_parameter(default):
    """Return the declaration of the weight with which a loss is added to the head's."""
    return Parameter(
        default,
        "what the loss is multiplied by when it is added to the head's",
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
    kind : {"embeddings", "losses", "logits"}
        What the loss is called with.
    weight : float
        Of losses that are added: what to multiply them by. Calling the loss gives it without.
    """

    name = "auxiliary"
    family = "auxiliary"
    kind = "embeddings"

    def formula(self, F, *inputs):
        """Return the losses of arrays or Symbols; no state, no process but this one.

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

    def initialize(self, num_classes=None, embedding_size=None, comm=None, ctx=None, seed=0):
        """Prepare for training; nothing to do for a loss without state."""
        return self

    def collect_params(self):
        """Return the learned parameters as {name: gluon Parameter}; none by default."""
        return {}

    def begin(self, batches=1):
        """Say how many batches the step that begins has; `undo` takes them all back."""

    def undo(self):
        """Take back what the last step changed in the state; nothing by default."""

    def state_dict(self):
        """Return what a checkpoint needs, as NumPy arrays; nothing by default."""
        return {}

    def load_state_dict(self, state):
        """Take back what `state_dict` gave."""

    @classmethod
    def describe(cls):
        """Return what tables and docs say of this loss, as a dict of plain values."""
        return {**super().describe(), "kind": cls.kind}
