"""The template of losses that take embeddings and labels, of one process or of several."""

from __future__ import annotations

import typing

import numpy as np

from ... import _compat
from ...errors import InputError
from .._labels import host_labels
from ._base import Auxiliary

__all__ = ["EmbeddingLoss", "gather_batch"]

MOST_CLASSES = 1 << 24  # of a loss without num_classes


def gather_batch(comm, embedding, labels, name):
    """Return the embeddings and labels of all processes, in rank order.

    The collectives have no gradient and need none. Every process computes the loss of the whole
    batch, and only its own rows depend on its network. The sum over the processes of a backbone's
    gradients is then that of one process with the whole batch.

    Parameters
    ----------
    comm : Local or Horovod
    embedding : NDArray (B, D) float32
    labels : numpy.ndarray (B,) int64
    name : str
        Of the collectives.

    Returns
    -------
    embedding : NDArray (N, D) float32
        Gradients flow to this process's rows.
    labels : numpy.ndarray (N,) int64
    first : int
        Where this process's rows begin.
    """
    if comm is None or comm.size == 1:
        return embedding, labels, 0
    nd, batch = _compat.mx.nd, len(labels)
    with _compat.mx.autograd.pause():
        tagged = np.stack([labels, np.full(batch, comm.rank)], axis=1)
        tagged = comm.allgather(nd.array(tagged, dtype="int64"), name=f"{name}.labels").asnumpy()
        everyone = comm.allgather(embedding.detach(), name=f"{name}.x")
    first = int((tagged[:, 1] < comm.rank).sum())
    blocks = [embedding]
    if first:
        blocks.insert(0, everyone[:first])
    if first + batch < len(tagged):
        blocks.append(everyone[first + batch :])
    return nd.concat(*blocks, dim=0), tagged[:, 0], first


class EmbeddingLoss(Auxiliary):
    """Template: a loss of the batch's embeddings and labels.

    Called with this process's embeddings (B, D), not normalised, and labels (B,), it gives the
    losses of the batch of all processes, whose mean is the loss. Gradients flow to this process's
    rows, and for the whole batch to learned parameters, which are therefore the same on all
    processes. Add ``weight * loss.mean()`` to this process's objective, in full.

    A subclass overrides `losses`, and with a state also `_create`, `state_dict` and
    `load_state_dict`.
    """

    kind = "embeddings"
    inputs_doc = "embedding : NDArray (B, D)\nlabel : NumPy array or NDArray (B,)"
    outputs_doc = "NDArray (N,) float32\n    N samples of all processes; see `EmbeddingLoss`."
    needs: tuple[str, ...] = ()  # of "num_classes", "embedding_size"
    num_classes: typing.Any = None
    embedding_size: typing.Any = None
    comm: typing.Any = None
    ctx: typing.Any = None
    ready = False
    keeps = "a row per class"

    def initialize(self, num_classes=None, embedding_size=None, comm=None, ctx=None, seed=0):
        """Set sizes, processes and the first state.

        Parameters
        ----------
        num_classes, embedding_size : int, optional
            C and D; only losses with a row per class need them.
        comm : Local or Horovod, optional
            The default is this process alone.
        ctx : mxnet.Context, optional
            Where the state lives. The default is the CPU.
        seed : int, default 0
            Of learned centres.

        Returns
        -------
        EmbeddingLoss
            Itself.
        """
        for key, value in (("num_classes", num_classes), ("embedding_size", embedding_size)):
            if value is None:
                if key in self.needs:
                    raise InputError(f"{self.name}: initialize() needs {key}, a whole number")
            elif not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
                raise InputError(f"{self.name}: {key}={value!r} must be a whole number from 1")
        self.num_classes, self.embedding_size = num_classes, embedding_size
        self.comm, self.ctx = comm, ctx or _compat.mx.cpu()
        self._create(np.random.default_rng([seed, num_classes or 0]))
        self.ready = True
        return self

    def _create(self, rng):
        """Create the state."""

    def __call__(self, embedding, label):
        """Return the losses of the batch of all processes; see the class.

        Parameters
        ----------
        embedding : NDArray (B, D)
            Any float dtype; computed in float32.
        label : NumPy array or NDArray (B,)
            Class ids.

        Raises
        ------
        InputError
            If a shape does not fit, a label is no class, or the loss needs `initialize` first.
        """
        embedding, labels = self.checked(embedding, label)
        embedding, labels, _ = gather_batch(self.comm, embedding, labels, f"auxiliary.{self.name}")
        return self.losses(embedding, labels)

    def checked(self, embedding, label):
        """Return embeddings as (B, D) float32 and labels as (B,) int64 on the host."""
        from .._block import to_float32

        if self.needs and not self.ready:
            raise InputError(
                f"{self.name} keeps {self.keeps}; before the first batch call "
                f"initialize({', '.join(f'{key}=...' for key in self.needs)})"
            )
        if embedding.ndim != 2:
            raise InputError(
                f"{self.name}: embeddings have the shape {embedding.shape}, expected (batch, size)"
            )
        size = self.embedding_size
        if size is not None and embedding.shape[1] != size:
            raise InputError(
                f"{self.name}: embeddings have {embedding.shape[1]} numbers, but initialize() got "
                f"embedding_size={size}"
            )
        labels = host_labels(label, self.num_classes or MOST_CLASSES)
        if len(labels) != embedding.shape[0]:
            raise InputError(f"{self.name}: {len(labels)} labels, {embedding.shape[0]} embeddings")
        return to_float32(embedding), labels

    def losses(self, x, labels):
        """Return the losses, whose mean is the loss, of the whole batch.

        Parameters
        ----------
        x : NDArray (N, D) float32
        labels : numpy.ndarray (N,) int64
        """
        raise NotImplementedError

    def _stored(self, state, key, shape):
        """Return an array of a `state_dict` as float32, checked."""
        if key not in state:
            raise InputError(f"the stored state of {self.name} has no {key!r}")
        value = np.asarray(state[key], np.float32)
        if value.shape != shape:
            raise InputError(
                f"the stored {key} of {self.name} has the shape {value.shape}, expected {shape}; "
                "it was written for another number of classes or another embedding size"
            )
        return value


class LearnedLoss(EmbeddingLoss):
    """Template: an embedding loss with parameters that the optimizer trains, without decay."""

    def _parameter(self, name, values):
        """Add a learned parameter with its first values."""
        values = np.asarray(values, np.float32)
        parameter = _compat.mx.gluon.Parameter(
            f"{self.name}_{name}", shape=values.shape, init=_compat.mx.init.Zero(), wd_mult=0.0
        )
        parameter.initialize(ctx=self.ctx)
        parameter.set_data(_compat.mx.nd.array(values))
        self._learned = {**getattr(self, "_learned", {}), name: parameter}

    def collect_params(self):
        """Return the learned parameters as {name: gluon Parameter}."""
        return dict(getattr(self, "_learned", {}))

    def value(self, name):
        """Return a learned parameter as the NDArray that gradients flow to."""
        return self._learned[name].data(self.ctx)

    def state_dict(self):
        """Return the learned parameters as NumPy arrays."""
        return {name: self.value(name).asnumpy() for name in self.collect_params()}

    def load_state_dict(self, state):
        """Set the parameters to those of a `state_dict`; call `initialize` before."""
        for name, parameter in self.collect_params().items():
            parameter.set_data(_compat.mx.nd.array(self._stored(state, name, parameter.shape)))


class StartedLoss(LearnedLoss):
    """Template: a loss with one learned number, whose first value comes from a batch.

    Attributes
    ----------
    first : str
        The name of the parameter.
    started : bool
        Whether it has its first value.
    """

    first = ""
    started = False
    _step = 1  # batches of a step
    _since = 0  # batches since that one

    def _create(self, rng):
        self.started = False
        self._parameter(self.first, [0.0])

    def next_batch(self, first_value):
        """Count a batch; the first one sets the number.

        Parameters
        ----------
        first_value : callable
            Returns an NDArray (1,), or None if the batch cannot give one.
        """
        self._since += 1
        if not self.started:
            with _compat.mx.autograd.pause():
                value = first_value()
                if value is not None:
                    self._learned[self.first].set_data(value)
                    self.started, self._since = True, 0

    def begin(self, batches=1):
        """Begin a step of so many batches."""
        self._step = batches

    def undo(self):
        """Let the next batch give the first value, if a batch of the last step did."""
        if self.started and self._since < self._step:
            self.started = False
            self._learned[self.first].set_data(_compat.mx.nd.zeros((1,)))

    def state_dict(self):
        """Return the number, and whether it has its first value."""
        if not self.ready:
            return {}
        return {**super().state_dict(), "started": np.int64(self.started)}

    def load_state_dict(self, state):
        """Set the number to that of a `state_dict`."""
        if not self.ready:
            self.initialize(comm=self.comm)
        super().load_state_dict(state)
        self.started = bool(state.get("started", True))
        self._since = self._step  # `undo` is not to change it


class LearnedPerClass(LearnedLoss):
    """Template: an embedding loss whose learned parameters have a row (D,) per class.

    `formula` takes embeddings (N, D), labels (N,) and the parameters (C, D) in the order in which
    `_create` adds them.
    """

    needs = ("num_classes", "embedding_size")

    @property
    def shape(self):
        """(C, D)."""
        return (self.num_classes, self.embedding_size)

    def losses(self, x, labels):
        """Return the losses (N,); see `EmbeddingLoss.losses`."""
        label = _compat.mx.nd.array(labels, ctx=self.ctx, dtype="int64")
        return self.formula(_compat.mx.nd, x, label, *(self.value(name) for name in self._learned))
