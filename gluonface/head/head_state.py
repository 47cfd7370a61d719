"""Reading and setting a classifier's state: class centres, optimizer state, the margin's state."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._compat import mx
from ..errors import InputError
from .class_centers import ClassCenters

__all__ = ["HeadState"]

nd = mx.nd

LARGEST = 2.0**62  # of a number in a stored state


class HeadState:
    """The methods of `PartialFC` that read and set its state."""

    # Set by PartialFC.
    margin: Any
    comm: Any
    class_centers: ClassCenters
    banks: dict[str, Any]
    num_classes: int
    embedding_size: int
    width: int
    start: int
    stop: int
    mode: str
    name: str
    updates_itself: bool
    sampling_step: int
    _margin_before: Any

    @property
    def center_shape(self) -> tuple[int, ...]:
        """The shape of all class centres."""
        if self.margin.subcenters == 1:
            return (self.num_classes, self.embedding_size)
        return (self.num_classes, self.margin.subcenters, self.embedding_size)

    def get_centers(self) -> np.ndarray:
        """Return all class centres. A collective: call on all ranks.

        Returns
        -------
        numpy.ndarray (num_classes, D) float32
            For margins with k > 1 centres for each class (num_classes, k, D).
        """
        local = np.asarray(self.row_arrays()["weight"])
        if self.comm.size > 1 and self.mode == "sharded":
            if self.num_classes < self.comm.size and not len(local):
                # Some ranks have no row to send, so every rank sends one and some are dropped.
                local = np.zeros((1, self.width), np.float32)
            local = self.comm.allgather(nd.array(local), name=f"{self.name}.weight").asnumpy()
        return np.array(local[: self.num_classes]).reshape(self.center_shape)

    def set_centers(self, centers: Any) -> None:
        """Set all class centres; each rank takes its own rows.

        Parameters
        ----------
        centers : array (num_classes, D), or as `get_centers` gives it
            Finite numbers.

        Raises
        ------
        InputError
            If the shape differs or a value is not finite.
        """
        centers = _finite("centers", centers, self.center_shape)
        self.load_rows("weight", 0, centers.reshape(-1, self.width))

    def row_arrays(self) -> dict[str, Any]:
        """Return all arrays with a row for each class of this rank, up to date.

        Returns
        -------
        dict of str to array-like (stop - start, ...)
            ``weight`` (n, k D), and, if the margin has them, ``bias``, ``class_margin`` (n,). Of a
            head that updates itself also the state of its optimizer: ``momentum``, or ``mean``,
            ``variance`` and ``count``; ``last_step`` with momentum_mode ``reset`` and
            ``catchup``; the same of the vectors as ``bias.momentum`` and so on. ``bank`` (n, D) of
            a margin that uses it, and ``last_embedding`` (n, D) after `remember`, with rows of
            zeros for classes not seen yet. These arrays are
            the head's own memory, or its files: read them before the next step, and slice those
            of centres on disk.
        """
        return {**self.class_centers.arrays(), **{k: v.rows() for k, v in self.banks.items()}}

    def _row_shapes(self):
        """Return {name: shape of a row} of `row_arrays`."""
        of_banks = dict.fromkeys(self.banks, (self.embedding_size,))
        return {**self.class_centers.row_shapes(), **of_banks}

    def load_rows(self, name: str, start: int, array: Any) -> None:
        """Set the rows of some classes; rows of other ranks' classes are ignored.

        Parameters
        ----------
        name : str
            A name of `row_arrays`.
        start : int
            Global id of the class of ``array[0]``.
        array : array (classes, ...)

        Raises
        ------
        InputError
            If there is no array of this name or the rows have another shape.
        """
        own = self._row_shapes()
        if name not in own:
            raise InputError(f"this head has no rows {name!r}; it has {', '.join(sorted(own))}")
        if tuple(array.shape[1:]) != own[name]:
            raise InputError(f"rows of {name} have the shape {array.shape[1:]}, not {own[name]}")
        first, last = max(start, self.start), min(start + len(array), self.stop)
        if first >= last:
            return
        rows = np.asarray(array[first - start : last - start])
        mx.nd.waitall()  # a backward under way may still read the centres, see `untracked`
        if name in self.banks:
            self.banks[name].load(first - self.start, rows)
        else:
            self.class_centers.load(name, first - self.start, rows)

    def state_dict(self, rows: bool | None = None) -> dict[str, Any]:
        """Return this rank's share of the head's state, as arrays and numbers.

        Parameters
        ----------
        rows : bool, optional
            Whether to include `row_arrays`. The default is True for heads of Gluon parameters,
            False for those that update themselves.
        """
        state = {
            "num_classes": self.num_classes,
            "embedding_size": self.embedding_size,
            "start": self.start,
            "stop": self.stop,
            "strength": self.margin.strength,
            "sampling_step": self.sampling_step,
            "updates": self.class_centers.updates,
        }
        for key, value in self.margin.state.items():
            state[f"state_{key}"] = float(value if isinstance(value, float) else value.asscalar())
        for key, value in self.class_centers.shared_state().items():
            state[f"shared_{key}"] = value
        if not self.updates_itself if rows is None else rows:
            state.update({key: np.array(value) for key, value in self.row_arrays().items()})
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the margin's state, and this rank's rows if the state has them.

        The state may come from another number of ranks as long as it holds all classes of this
        rank, as that of a single process does. Without rows, call `load_rows` for all classes
        of this rank afterwards. A bank that the state does not have stays as it is.

        Raises
        ------
        InputError
            If the number of classes or the embedding size differs, or rows are missing.
        """
        learned = {key: f"state_{key}" for key in self.margin.state}
        shared = {key: f"shared_{key}" for key in self.class_centers.shared_state()}
        values = _values(state, ("num_classes", "embedding_size"), ("updates", "sampling_step"))
        for key in ("num_classes", "embedding_size"):
            if values[key] != getattr(self, key):
                raise InputError(
                    f"the stored head has {key}={values[key]:g}, this one "
                    f"{getattr(self, key)}; build it with the stored value"
                )
        names = list(self.class_centers.row_shapes())
        given = [name for name in names if name in state]
        for key in (
            *(names if given or not self.updates_itself else ()),
            *learned.values(),
            *shared.values(),
        ):
            if key not in state:
                raise InputError(f"the stored head has no {key}, which {self.margin!r} needs")
        values.update(_values(state, ("strength", *learned.values(), *shared.values())))
        if given:
            self._load_all(state, [*names, *(name for name in self.banks if name in state)])
        self.class_centers.loaded(int(values.get("updates", 0)))
        self.sampling_step = int(values.get("sampling_step", 0))
        for key, name in shared.items():
            self.class_centers.load_shared(key, float(values[name]))
        self.margin.state = {key: float(values[name]) for key, name in learned.items()}
        self.margin.strength = float(values["strength"])
        self._margin_before = None

    def _load_all(self, state, names):
        values = _values(state, ("start", "stop"))
        start, stop = int(values["start"]), int(values["stop"])
        if self.stop > self.start and not (start <= self.start and self.stop <= stop):
            raise InputError(
                f"the stored head holds classes {start} to {stop - 1}, this rank needs "
                f"{self.start} to {self.stop - 1}; give it a state that covers them"
            )
        shapes = self._row_shapes()
        for name in names:
            self.load_rows(name, start, _finite(name, state[name], (stop - start, *shapes[name])))


def _values(state, needed, known=()):
    """Return the numbers of a stored state under some names, or raise InputError."""
    found = {}
    for name in (*needed, *known):
        if name not in state:
            if name in needed:
                raise InputError(f"the stored head has no {name}; it is not whole")
            continue
        value = np.asarray(state[name])
        number = value.dtype.kind in "fiu" and value.size == 1 and np.isfinite(value).all()
        if not number or abs(float(value.reshape(()))) > LARGEST:
            raise InputError(f"the stored head has a {name} that is no number")
        found[name] = value.reshape(()).item()
    return found


def _finite(name, values, shape):
    values = values.asnumpy() if hasattr(values, "asnumpy") else np.asarray(values)
    if values.shape != shape or values.dtype.kind not in "fiu":
        raise InputError(
            f"{name} must be numbers of the shape {shape}, got {values.dtype} {values.shape}"
        )
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds values that are not finite")
    return values if values.dtype.kind in "iu" else values.astype(np.float32, copy=False)
