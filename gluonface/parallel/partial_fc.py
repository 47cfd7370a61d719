"""The class-sharded classifier around any margin, with its softmax and gradient done by hand.

Papers: Partial FC: Training 10 Million Identities on a Single Machine, 2020, arXiv 2010.05222;
Killing Two Birds with One Stone: Efficient and Robust Training of Face Recognition CNNs by
Partial FC, 2022, arXiv 2203.15565. Each rank owns the centres of some classes and sees the
embeddings of all ranks. Unlike the papers' code the loss is not clamped, every positive class is
kept, and no class exists that is not there.
"""

import numbers
import re

import numpy as np

from .._compat import mx
from ..errors import InputError
from ..loss import Margin, get_loss
from ..loss._block import check_filter, check_smoothing, to_float32
from ..loss._labels import host_labels
from ._operators import untracked
from ._softmax import ShardedSoftmax
from .centers import initial_centers, shard_range
from .communicator import Local

__all__ = ["PartialFC"]


class PartialFC:
    """Class centres, sharded over the ranks, and the margin softmax over all of them.

    Parameters
    ----------
    margin : Margin or str
        From `get_loss`, or its name. `margin.strength` and `margin.scale` may be changed at any
        time; the next call uses them.
    num_classes : int
        C, at least 1, over all ranks.
    embedding_size : int
        D, at least 1.
    sample_rate : float, default 1.0
        Share of the classes that take part in a step. Only 1.0 is built yet.
    comm : Local or Horovod, optional
        The default is `Local`, one process with all classes.
    ctx : mxnet.Context, optional
        Where the centres live. The default is the CPU.
    seed : int, default 0
        Of the initial centres, which do not depend on the number of ranks.
    label_smoothing : float, default 0.0
        In [0, 1): that share of the target's probability goes to the other classes evenly.
    filter_above : float, optional
        In (0, 1]: classes nearer than this cosine to a sample, other than its own, are left out
        of its denominator, and of label smoothing. It protects from identities that are in the
        set twice; 0.4 is usual.
    name : str, default "head"
        Prefix of its parameters and collectives. Two heads in one process need two names.

    Attributes
    ----------
    weight : mxnet.gluon.Parameter (stop - start, D) float32, or None
        This rank's centres, for `gluon.Trainer` with any optimizer. None on a rank without
        classes, when there are fewer classes than ranks.
        With k centres for each class (`Margin.subcenters`) its shape is (stop - start, k D).
    bias : mxnet.gluon.Parameter (stop - start,) or None
        For margins with a bias.
    class_margin : mxnet.gluon.Parameter (stop - start,) or None
        For margins that learn one for each class.
    start, stop : int
        The classes of this rank.

    Notes
    -----
    ``head(embedding, label)`` gives the losses of this rank's samples. Its gradient is exact for
    whatever is made of them: with the sum over all ranks of ``loss.sum() / N`` as the objective,
    gradients of a replicated backbone must be summed over the ranks, not averaged; the gradients
    of the centres are complete as they are.
    """

    def __init__(
        self,
        margin,
        num_classes,
        embedding_size,
        sample_rate=1.0,
        comm=None,
        ctx=None,
        seed=0,
        label_smoothing=0.0,
        filter_above=None,
        sampler="hash",
        unbiased=False,
        momentum_mode="frozen",
        centers="memory",
        centers_path=None,
        wire_dtype="float32",
        chunk=None,
        name="head",
    ):
        self.margin = get_loss(margin) if isinstance(margin, str) else margin
        if not isinstance(self.margin, Margin):
            raise InputError(f"margin must come from get_loss or be its name, got {margin!r}")
        self.num_classes = _whole("num_classes", num_classes, 1)
        self.embedding_size = _whole("embedding_size", embedding_size, 1)
        self.seed = _whole("seed", seed, 0)
        if not isinstance(sample_rate, numbers.Real) or not 0.0 < sample_rate <= 1.0:
            raise InputError(f"sample_rate={sample_rate!r} is not allowed; it must be in (0, 1]")
        if sample_rate < 1.0:
            raise InputError(
                f"sample_rate={sample_rate:g}: sampling of classes is not built yet; "
                "use sample_rate=1.0"
            )
        self.sample_rate = float(sample_rate)
        self.updates_itself = False
        self.sampling_step = 0
        self.label_smoothing = check_smoothing(label_smoothing)
        self.filter_above = check_filter(filter_above, self.margin)
        self.margin.prepare(self.num_classes)
        self.comm = comm or Local()
        self.ctx = ctx or mx.cpu()
        self.name = name
        self.start, self.stop = shard_range(self.num_classes, self.comm.rank, self.comm.size)
        self.params = mx.gluon.ParameterDict(f"{name}_")
        self.weight = self.bias = self.class_margin = None
        self._width = self.embedding_size * self.margin.subcenters
        if self.stop > self.start:
            rows = self.stop - self.start
            self.weight = self._parameter("weight", (rows, self._width))
            self.weight.set_data(
                mx.nd.array(initial_centers(self.start, self.stop, self._width, self.seed))
            )
            if self.margin.has_bias:
                self.bias = self._parameter("bias", (rows,))
            if self.margin.has_class_margin:
                self.class_margin = self._parameter("class_margin", (rows,))
                self.class_margin.set_data(mx.nd.full((rows,), self.margin.initial_margin))
        self._last = None
        self._untracked = (None, None)

    def untracked_weight(self, weight):
        """Return the centres' memory under the name by which the backward pass reads it."""
        if self._untracked[0] is not weight:  # making it waits, so only once for each array
            self._untracked = (weight, untracked(weight))
        return self._untracked[1]

    def _parameter(self, name, shape):
        parameter = self.params.get(name, shape=shape, init=mx.init.Zero())
        parameter.initialize(ctx=self.ctx)
        return parameter

    def collect_params(self, select=None):
        """Return the parameters as a `ParameterDict`, as of a Gluon block."""
        if select is None:
            return self.params
        found = mx.gluon.ParameterDict(self.params.prefix)
        found.update({k: v for k, v in self.params.items() if re.match(select, k)})
        return found

    def set_optimizer(self, name, momentum=0.0, wd=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
        """Choose how the head updates its own centres (`updates_itself`): sgd, nag or adamw."""
        raise NotImplementedError

    def update(self, lr, scale=1.0):
        """Update the rows of the last backward passes with their gradients times `scale`."""
        raise NotImplementedError

    def zero_grad(self):
        """Forget the gradients of the last backward passes."""
        raise NotImplementedError

    def gradient_square_sum(self):
        """Return the sum of squares (1,) of the pending gradient of this rank."""
        raise NotImplementedError

    def discard(self):
        """Undo a forward that is not to be followed by an update, margin state included."""
        raise NotImplementedError

    def row_arrays(self):
        """Return {name: array-like with one row for each class of this rank}."""
        raise NotImplementedError

    def load_rows(self, name, start, array):
        """Take rows of the classes from `start` (global id) on; those of other ranks are ignored."""
        raise NotImplementedError

    def __call__(self, embedding, label, index=None):
        """Return the losses of this rank's samples.

        Parameters
        ----------
        embedding : NDArray (B, D)
            Not normalised; any float dtype. Gradients flow to it under `autograd.record`.
        label : NumPy array or NDArray (B,)
            Class ids in [0, num_classes). Read on the host, so give them as they were loaded.

        Returns
        -------
        NDArray (B,) float32

        Raises
        ------
        InputError
            If a shape does not fit or a label is no class.
        """
        if embedding.ndim != 2 or embedding.shape[1] != self.embedding_size:
            raise InputError(
                f"embeddings have the shape {embedding.shape}, expected "
                f"(batch, {self.embedding_size}); embedding_size must be that of the network"
            )
        labels = host_labels(label, self.num_classes)
        if len(labels) != embedding.shape[0]:
            raise InputError(f"{len(labels)} labels for {embedding.shape[0]} embeddings")
        # Casting and copying are recorded, so gradients come back in the caller's dtype and place.
        embedding = to_float32(embedding.as_in_context(self.ctx))
        if self.class_margin is not None and mx.autograd.is_training():
            self._clip_class_margin()
        step = ShardedSoftmax(self, labels)
        loss = step(embedding)
        self._last = step.statistics
        return loss

    def _clip_class_margin(self):
        """Bring back into their range the margins that the last update took out of it."""
        with mx.autograd.pause():
            values = self.class_margin.data(self.ctx)
            mx.nd.clip(values, 0.0, self.margin.max_margin, out=values)

    def stats(self):
        """Return figures of the last forward, over the samples of all ranks.

        Waits for that forward. The arrays are kept till asked, so a step costs nothing.

        Returns
        -------
        dict of str to float
            ``accuracy``: share of samples whose margined target logit is the largest;
            ``target_cosine``: mean cosine to the own class's centre (for ``softmax`` the mean
            score); ``max_logit``: the largest logit.
        """
        if self._last is None:
            raise InputError("stats() is of the last forward, and there was none yet")
        largest, target, cosine = (array.asnumpy() for array in self._last)
        return {
            "accuracy": float(np.mean(target >= largest)),
            "target_cosine": float(np.mean(cosine)),
            "max_logit": float(np.max(largest)),
        }

    def get_centers(self):
        """Return all class centres. A collective: call on all ranks.

        Returns
        -------
        numpy.ndarray (num_classes, D) float32
            For margins with k > 1 centres for each class (num_classes, k, D).
        """
        centers = self._gather(self.weight, (self._width,), "weight")
        return centers.reshape(self._center_shape)

    @property
    def _center_shape(self):
        if self.margin.subcenters == 1:
            return (self.num_classes, self.embedding_size)
        return (self.num_classes, self.margin.subcenters, self.embedding_size)

    def _gather(self, parameter, tail, name):
        if self.comm.size == 1:
            return parameter.data(self.ctx).asnumpy()
        if self.num_classes >= self.comm.size:
            local = parameter.data(self.ctx)
        else:  # some ranks have no row to send, so every rank sends one and some are dropped
            local = mx.nd.zeros((1, *tail)) if parameter is None else parameter.data(self.ctx)
        return self.comm.allgather(local, name=f"{self.name}.{name}").asnumpy()[: self.num_classes]

    def set_centers(self, centers):
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
        centers = _finite("centers", centers, self._center_shape)
        mx.nd.waitall()  # a backward under way may still read the centres, see `untracked`
        if self.weight is not None:
            rows = centers[self.start : self.stop].reshape(-1, self._width)
            self.weight.set_data(mx.nd.array(rows))

    def state_dict(self):
        """Return this rank's part of what a checkpoint needs, as arrays and numbers."""
        state = {
            "num_classes": self.num_classes,
            "embedding_size": self.embedding_size,
            "start": self.start,
            "stop": self.stop,
            "strength": self.margin.strength,
        }
        for key, value in self.margin.state.items():
            state[f"state_{key}"] = float(value if isinstance(value, float) else value.asscalar())
        for key, parameter, tail in self._per_class():
            state[key] = np.zeros((0, *tail), np.float32)
            if parameter is not None:
                state[key] = parameter.data(self.ctx).asnumpy()
        return state

    def _per_class(self):
        """Return (name, parameter or None, shape of a row) of all that has a row per class."""
        entries = [("weight", self.weight, (self._width,))]
        if self.margin.has_bias:
            entries.append(("bias", self.bias, ()))
        if self.margin.has_class_margin:
            entries.append(("class_margin", self.class_margin, ()))
        return entries

    def load_state_dict(self, state):
        """Take this rank's rows from a `state_dict` that covers them.

        The state may come from another number of ranks as long as it holds all classes of this
        rank, as that of a single process does.

        Raises
        ------
        InputError
            If the number of classes or the embedding size differs, or rows are missing.
        """
        for key in ("num_classes", "embedding_size"):
            if int(state[key]) != getattr(self, key):
                raise InputError(
                    f"the stored head has {key}={int(state[key])}, this one "
                    f"{getattr(self, key)}; build it with the stored value"
                )
        start, stop = int(state["start"]), int(state["stop"])
        if self.stop > self.start and not (start <= self.start and self.stop <= stop):
            raise InputError(
                f"the stored head holds classes {start} to {stop - 1}, this rank needs "
                f"{self.start} to {self.stop - 1}; give it a state that covers them"
            )
        rows = slice(self.start - start, self.stop - start)
        mx.nd.waitall()  # a backward under way may still read the centres, see `untracked`
        learned = {key: f"state_{key}" for key in self.margin.state}
        for key in (*(entry[0] for entry in self._per_class()), *learned.values()):
            if key not in state:
                raise InputError(f"the stored head has no {key}, which {self.margin!r} needs")
        for key, parameter, tail in self._per_class():
            if parameter is not None:
                values = _finite(key, state[key], (stop - start, *tail))
                parameter.set_data(mx.nd.array(values[rows]))
        self.margin.state = {key: float(state[name]) for key, name in learned.items()}
        self.margin.strength = float(state["strength"])

    def __repr__(self):
        return (
            f"PartialFC({self.margin!r}, num_classes={self.num_classes}, "
            f"embedding_size={self.embedding_size}, comm={self.comm!r})"
        )


def _whole(name, value, low):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < low:
        raise InputError(f"{name}={value!r} is not allowed; it must be a whole number from {low}")
    return int(value)


def _finite(name, values, shape):
    values = values.asnumpy() if hasattr(values, "asnumpy") else np.asarray(values)
    if values.shape != shape or values.dtype.kind not in "fiu":
        raise InputError(
            f"{name} must be numbers of the shape {shape}, got {values.dtype} {values.shape}"
        )
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds values that are not finite")
    return values.astype(np.float32, copy=False)
