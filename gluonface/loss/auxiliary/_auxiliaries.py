"""Several auxiliary losses beside one head, as a recipe names them."""

import numbers

from ...errors import InputError
from . import get_auxiliary, resolve_auxiliary
from ._base import AUXILIARY
from ._embedding import gather_batch

__all__ = ["Auxiliaries", "read_entries", "read_entry"]


class Auxiliaries:
    """The auxiliary losses of a training run.

    Parameters
    ----------
    entries : dict
        Name of a loss -> its weight, a dict of its parameters, or None for the defaults:
        ``{"center": 0.01, "ring": {"weight": 0.01}, "focal": {"gamma": 1.0}}``. Losses of kind
        ``losses`` are applied in this order; those of kind ``logits`` belong to the head.
    num_classes, embedding_size, comm, ctx, seed
        As of `EmbeddingLoss.initialize`.

    Raises
    ------
    InputError
        On an unknown name or parameter, or a value out of range.
    """

    def __init__(self, entries, num_classes, embedding_size, comm=None, ctx=None, seed=0):
        self.members = {
            name: loss.initialize(num_classes, embedding_size, comm, ctx, seed)
            for name, loss in read_entries(entries).items()
        }
        self.comm, self.ctx = comm, ctx
        self.last = {}

    def __call__(self, losses, embedding, label):
        """Return the head's losses as weighted by focal and OHEM, and the sum of the added losses.

        Parameters
        ----------
        losses : NDArray (B,)
            Of the head.
        embedding : NDArray (B, D)
        label : NumPy array (B,)

        Returns
        -------
        losses : NDArray (B,)
        extra : NDArray (1,) or None
            The weighted sum of the added losses, over the batch of all processes. Add it in full to
            this process's objective. Its gradients are those of the whole batch; only those of the
            backbone are to be summed over processes.
        """
        whole, extra, self.last = None, None, {}
        for name, loss in self.members.items():
            if loss.kind == "losses":
                losses = loss(losses)
                self.last[name] = losses.detach().mean()
                continue
            if whole is None:
                x, labels = loss.checked(
                    embedding.as_in_context(self.ctx or embedding.context), label
                )
                whole = gather_batch(self.comm, x, labels, "auxiliary")[:2]
            value = loss.losses(*whole).mean().reshape((1,))
            self.last[name] = value.detach()
            extra = loss.weight * value if extra is None else extra + loss.weight * value
        return losses, extra

    def values(self):
        """Wait for the last batch, and return {name: value}, without weights.

        An added loss is of the batch of all processes; of one that replaces the head's losses
        (focal, OHEM) it is the mean over this process's samples.
        """
        return {name: float(value.asscalar()) for name, value in self.last.items()}

    def begin(self, batches=1):
        """Begin a step of so many batches. Without this call each batch is a step."""
        for loss in self.members.values():
            loss.begin(batches)

    def undo(self):
        """Restore the state from before the last step, which is skipped."""
        for loss in self.members.values():
            loss.undo()

    def collect_params(self):
        """Return the learned parameters as {"loss/parameter": gluon Parameter}."""
        return {
            f"{name}/{key}": parameter
            for name, loss in self.members.items()
            for key, parameter in loss.collect_params().items()
        }

    def state_dict(self):
        """Return what a checkpoint needs, the same on all processes, as {"loss/key": array}."""
        return {
            f"{name}/{key}": value
            for name, loss in self.members.items()
            for key, value in loss.state_dict().items()
        }

    def load_state_dict(self, state):
        """Set the state to that of a `state_dict`.

        Raises
        ------
        InputError
            If the state is of other losses, classes or sizes.
        """
        stored = sorted({key.split("/")[0] for key in state})
        stateful = sorted(name for name, loss in self.members.items() if loss.state_dict())
        if stored != stateful:
            raise InputError(
                f"the stored state is of the auxiliary losses {', '.join(stored) or 'none'}, this "
                f"run has {', '.join(stateful) or 'none'}; resume with the losses of the run"
            )
        for name, loss in self.members.items():
            below = {k[len(name) + 1 :]: v for k, v in state.items() if k.startswith(f"{name}/")}
            loss.load_state_dict(below)

    def __repr__(self):
        return f"Auxiliaries({', '.join(map(repr, self.members.values()))})"


def read_entries(entries):
    """Return {name: Auxiliary}, not yet initialised, of the entries that `Auxiliaries` takes."""
    losses = {}
    for key, value in entries.items():
        name = resolve_auxiliary(key)
        if name in losses:
            raise InputError(f"the auxiliary loss {name!r} is given twice")
        if AUXILIARY.get(name).kind == "logits":
            raise InputError(f"{name} is part of the head; set head.label_smoothing in place of it")
        losses[name] = get_auxiliary(name, **read_entry(name, value))
    return losses


def read_entry(name, value):
    """Return the parameters of a recipe's entry: a weight, a dict, or None."""
    if value is None or value is True:
        return {}
    if isinstance(value, dict):
        return {str(key): entry for key, entry in value.items()}
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        if "weight" not in AUXILIARY.get(name).parameters:
            first = next(iter(AUXILIARY.get(name).parameters))
            raise InputError(
                f"loss.auxiliary.{name} = {value!r}: {name} replaces the head's losses and has no "
                f"weight; write {{{first}: {value!r}}} for its {first}, or {{}} for the default"
            )
        return {"weight": value}
    raise InputError(
        f"loss.auxiliary.{name} = {value!r} is neither a weight nor a section of parameters"
    )
