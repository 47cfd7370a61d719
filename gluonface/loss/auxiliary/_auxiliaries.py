"""Several auxiliary losses beside one head, as a recipe names them."""

import numbers

from ...errors import InputError
from . import get_auxiliary, resolve_auxiliary
from ._base import AUXILIARY
from ._embedding import gather_batch

__all__ = ["TEACHER_KINDS", "Auxiliaries", "read_entries", "read_entry", "read_schedules"]

TEACHER_KINDS = ("teacher", "teacher logits")


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
    teacher_size : int, optional
        D_t, of the teacher's embeddings. Losses of the kinds ``teacher`` and ``teacher logits``
        need it.

    Attributes
    ----------
    factors : dict of str to float
        What the weight of a loss is multiplied by in this step; 1 for those that are not named. A
        loss whose factor is 0 is not computed.

    Raises
    ------
    InputError
        On an unknown name or parameter, a value out of range, or a loss without its teacher.
    """

    def __init__(
        self,
        entries,
        num_classes,
        embedding_size,
        comm=None,
        ctx=None,
        seed=0,
        teacher_size=None,
    ):
        self.members = read_entries(entries)
        for name, loss in self.members.items():
            sizes = (num_classes, embedding_size, comm, ctx, seed)
            if loss.kind not in TEACHER_KINDS:
                loss.initialize(*sizes)
                continue
            if teacher_size is None:
                raise InputError(
                    f"loss.auxiliary.{name} compares with a teacher, and there is none: give "
                    "--teacher SOURCE or --teacher-embeddings FILE"
                )
            loss.initialize(*sizes, teacher_size=teacher_size)
        self.comm, self.ctx = comm, ctx
        self.factors = {}
        self.last = {}

    def __call__(self, losses, embedding, label, teacher=None, distill=None, pairs=None):
        """Return the head's losses as weighted by focal and OHEM, and the sum of the added losses.

        Parameters
        ----------
        losses : NDArray (B,)
            Of the head.
        embedding : NDArray (B, D)
        label : NumPy array (B,)
        teacher : NumPy array (B, D_t), optional
            The teacher's embeddings of the same images.
        distill : callable, optional
            ``distill(temperature)`` gives the losses (B,) of ``kd_logits``, which the head
            computes.
        pairs : callable, optional
            ``pairs(loss, compute)`` gives the losses (B,) of a loss with a memory, which the head
            computes, or without `compute` fills the memory only.

        Returns
        -------
        losses : NDArray (B,)
        extra : NDArray (1,) or None
            The weighted sum of the added losses, over the batch of all processes. Add it in full to
            this process's objective. Its gradients are those of the whole batch; only those of the
            backbone are to be summed over processes.
        """
        whole, theirs, extra, self.last = None, None, None, {}
        added = []  # to the head's losses as focal and OHEM weigh them
        for name, loss in self.members.items():
            factor = self.factors.get(name, 1.0)
            if loss.kind == "memory":
                if pairs is None:
                    raise InputError(f"{name} compares with a memory, which only a head has")
                value = pairs(loss, factor != 0.0)
            if factor == 0.0:
                continue
            if loss.kind == "memory":
                self.last[name] = value.detach().mean()
                added.append(loss.weight * factor * value)
                continue
            if loss.kind == "losses":
                losses = loss(losses)
                self.last[name] = losses.detach().mean()
                continue
            if loss.kind == "teacher logits":
                value = distill(loss.temperature)
                self.last[name] = value.detach().mean()
                added.append(loss.weight * factor * value)
                continue
            if whole is None:
                x, labels = loss.checked(
                    embedding.as_in_context(self.ctx or embedding.context), label
                )
                whole = gather_batch(self.comm, x, labels, "auxiliary")[:2]
            if loss.kind == "teacher":
                if theirs is None:
                    teacher = loss.checked_teacher(teacher, len(label))
                    theirs = loss.gathered(self.comm, teacher, "auxiliary")
                value = loss.losses(whole[0], theirs, whole[1]).mean().reshape((1,))
            else:
                value = loss.losses(*whole).mean().reshape((1,))
            self.last[name] = value.detach()
            weighed = (loss.weight * factor) * value
            extra = weighed if extra is None else extra + weighed
        return sum(added, losses), extra

    @property
    def use_teacher(self):
        """Whether a loss of this step needs the teacher's embeddings."""
        return any(
            loss.kind in TEACHER_KINDS and self.factors.get(name, 1.0)
            for name, loss in self.members.items()
        )

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


def read_schedules(entries):
    """Return {name: its schedule as it is written} of the entries that have one."""
    found = {}
    for key, value in entries.items():
        name = resolve_auxiliary(key)
        schedule = AUXILIARY.get(name).default_schedule
        if isinstance(value, dict):
            schedule = value.get("schedule", schedule)
        if schedule is not None:
            found[name] = dict(schedule)
    return found


def read_entry(name, value):
    """Return the parameters of a recipe's entry: a weight, a dict, or None.

    A ``schedule`` of the weight, which is not the loss's own, is left out (`read_schedules`).
    """
    if value is None or value is True:
        return {}
    if isinstance(value, dict):
        return {str(key): entry for key, entry in value.items() if key != "schedule"}
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
