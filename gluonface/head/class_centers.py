"""The class centres of a rank, with one interface for every sample rate and every place.

`GluonCenters` holds Gluon parameters with all classes in every step; `sampled_centers` holds
centres that update themselves, of which a sample is in a step (at a sample rate of 1 the sample is
all classes). They cannot be one class without other numbers: a `gluon.Trainer` updates parameters
by MXNet's fused operators, each of which rounds a row once, while rows that update themselves go
through NumPy operation by operation, and have the component along the row taken off their
gradients in the update instead of the backward pass. Both agree to about 1e-5, not to the last
bit. `weight` as a Gluon parameter is also what lets any optimizer of MXNet train a head.
"""

from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from .._compat import mx
from ..errors import InputError
from .array_operations import untracked
from .class_chunk import Shard, write_gradient
from .initial_centers import BLOCK, initial_centers

__all__ = ["ClassCenters", "GluonCenters", "Selection"]

nd = mx.nd


class Selection(NamedTuple):
    """The classes of one step."""

    shard: Optional[Shard]  # None if no class of this rank is in the step
    watched: tuple  # NDArrays, or None, whose gradients autograd is to ask for
    collect: Callable  # takes the gradients in the backward pass, see `ShardedSoftmax.__call__`
    shared: Any = None  # NDArray (1,), the bias that all classes share, also without classes here
    collect_shared: Optional[Callable] = None  # takes its gradient (1,), and `collect`'s targets


class ClassCenters:
    """Centres, and biases and class margins where the margin has them, of a rank's classes.

    Parameters
    ----------
    margin : Margin
    start, stop : int
        Global ids of the rank's classes.
    width : int
        k D, the numbers of a class's k centres.
    ctx : mxnet.Context
        Of the step.
    initial_bias : float, optional
        Of binary losses.

    Attributes
    ----------
    weight, bias, class_margin : mxnet.gluon.Parameter or None
        None where the centres update themselves.
    sampled : int
        Classes of this rank in the last step.
    updates : int
        Updates that the centres have made of themselves.
    optimizer : object or None
        Of centres that update themselves, once it is set.
    """

    weight = bias = class_margin = optimizer = None
    sampled = updates = 0

    def __init__(self, margin, start, stop, width, ctx, initial_bias=None):
        self.margin, self.start, self.stop, self.width = margin, start, stop, width
        self.size, self.ctx = stop - start, ctx
        self.initial_bias = initial_bias
        # The arrays beside the centres, which have a number for each class.
        self.vectors = ["bias"] * margin.has_bias + ["class_margin"] * margin.has_class_margin

    def select(self, labels, index, step, training) -> Selection:
        """Return the `Selection` of a step.

        Parameters
        ----------
        labels : numpy.ndarray (N,) int64
            Of the samples of all ranks.
        index : array (m,) of int or None
            The classes, less `start`, if the caller chooses them.
        step : int
            The number by which the sampler draws.
        training : bool
        """
        raise NotImplementedError

    def class_margin_sum(self):
        """Return the sum of the learned margins of all classes of this rank, NDArray (1,)."""
        raise NotImplementedError

    def row_shapes(self):
        """Return {name: shape of a row} of the arrays with a row for each class."""
        raise NotImplementedError

    def arrays(self):
        """Return {name: array-like with a row for each class}, up to date."""
        raise NotImplementedError

    def load(self, name, first, rows):
        """Write rows of an array, from the class ``start + first`` on."""
        raise NotImplementedError

    def loaded(self, updates):
        """Take note that all rows come from a checkpoint after that many updates."""

    def shared_state(self):
        """Return {name: float} of what all classes share: the bias of binary losses."""
        return {}

    def load_shared(self, name, value):
        """Set an entry of `shared_state`."""

    def project(self):
        """Clip the class margins to their range, where an update does not do it."""

    def discard(self):
        """Drop the gradients that the next update would use."""

    def set_optimizer(self, name, **options):
        """Choose how the centres update themselves."""
        self._refuse("set_optimizer")

    def update(self, lr, scale):
        """Update the centres by the gradients since the last update, times `scale`."""
        self._refuse("update")

    def zero_grad(self):
        """Drop the gradients that `update` would use."""
        self._refuse("zero_grad")

    def gradient_square_sum(self):
        """Return the sum of squares of the gradients that `update` would use, float."""
        self._refuse("gradient_square_sum")

    def _refuse(self, what):
        raise InputError(
            f"{what} is for heads that update themselves (sample_rate below 1, or centers on "
            "host or disk); this one's parameters are for a gluon.Trainer"
        )


class GluonCenters(ClassCenters):
    """All classes in every step, as Gluon parameters that a `gluon.Trainer` updates.

    Parameters
    ----------
    margin, start, stop, width, ctx, initial_bias
        As of `ClassCenters`.
    seed : int
        Of the initial centres.
    params : mxnet.gluon.ParameterDict
        Gets the parameters. A rank without classes has none.
    allreduce : callable, optional
        ``allreduce(array, name=...)`` sums the centres' gradients over ranks that all have all
        classes.
    """

    def __init__(self, margin, start, stop, width, ctx, initial_bias, seed, params, allreduce=None):
        super().__init__(margin, start, stop, width, ctx, initial_bias)
        self.allreduce, self.sampled = allreduce, self.size
        self._untracked = {}

        def parameter(name, *row, size=self.size):
            made = params.get(name, shape=(size, *row), init=mx.init.Zero())
            made.initialize(ctx=ctx)
            return made

        if margin.has_shared_bias:  # on every rank, updated alike
            self.bias = parameter("bias", size=1)
            self.bias.wd_mult = 0.0
            self.bias.set_data(nd.full((1,), self.initial_bias))
        if not self.size:
            return

        self.weight = parameter("weight", width)
        weight = self.weight.data(ctx)
        for first in range(start - start % BLOCK, stop, BLOCK):  # no second copy
            first, last = max(start, first), min(stop, first + BLOCK)
            weight[first - start : last - start] = initial_centers(first, last, width, seed)
        if margin.has_bias:
            self.bias = parameter("bias")
            if self.initial_bias is not None:  # of a binary loss: a threshold, not decayed
                self.bias.wd_mult = 0.0
                self.bias.set_data(nd.full((self.size,), self.initial_bias))
        if margin.has_class_margin:
            self.class_margin = parameter("class_margin")
            self.class_margin.set_data(nd.full((self.size,), margin.initial_margin))

    def _data(self, name):
        """Return a parameter's array, or None."""
        parameter = getattr(self, name)
        return None if parameter is None else parameter.data(self.ctx)

    def select(self, labels, index, step, training):
        """Return the `Selection` of a step: all classes; `index` must be None."""
        if index is not None:
            raise InputError(
                "index is for heads that sample; this one uses all classes: set sample_rate below 1"
            )
        watched = weight, bias, class_margin = tuple(
            map(self._data, ("weight", "bias", "class_margin"))
        )
        self.project()
        shared = collect_shared = None
        if self.margin.has_shared_bias:
            shared, bias = bias, None
            collect_shared = self._collect_shared
        if weight is None:
            return Selection(None, watched, lambda gradients, targets: None, shared, collect_shared)
        backward = tuple(map(self._for_backward, ("weight", "bias", "class_margin"), watched))
        shard = Shard(self.start, self.stop, weight, bias, class_margin, backward)
        return Selection(shard, watched, self._collect, shared, collect_shared)

    def project(self):
        """As `ClassCenters.project`. An update by a `gluon.Trainer` may have left the range."""
        class_margin = self._data("class_margin")
        if class_margin is not None:
            with mx.autograd.pause():
                nd.clip(class_margin, 0.0, self.margin.max_margin, out=class_margin)

    def _for_backward(self, name, array):
        """Return the memory of a parameter's array as a backward pass reads it, see `untracked`."""
        if array is None:
            return None
        if self._untracked.get(name, (None,))[0] is not array:
            self._untracked[name] = (array, untracked(array))  # it waits: once for each array
        return self._untracked[name][1]

    def _collect_shared(self, gradient, targets):
        """Write the gradient of the bias that all classes share."""
        write_gradient(targets[1], gradient)

    def shared_state(self):
        """As `ClassCenters.shared_state`."""
        if not self.margin.has_shared_bias:
            return {}
        return {"bias": float(self._data("bias").asscalar())}

    def load_shared(self, name, value):
        """As `ClassCenters.load_shared`."""
        self.bias.set_data(nd.full((1,), value))

    def _collect(self, gradients, targets):
        """Write the gradients of the parameters; return that of the embeddings by this shard."""
        if self.margin.has_shared_bias:  # `_collect_shared` has it
            targets = [targets[0], None, targets[2]]
        if self.allreduce is None:
            return gradients(targets)
        own = [
            None if target is None else (nd.empty(target[0].shape, ctx=self.ctx), False)
            for target in targets
        ]
        grad_x = gradients(own)
        for name, target, mine in zip(("weight", "bias", "class_margin"), targets, own):
            if target is not None:
                write_gradient(target, self.allreduce(mine[0], name=f"g{name}"))
        return grad_x

    def class_margin_sum(self):
        """Return the sum of the learned margins of all classes of this rank, NDArray (1,)."""
        values = self._data("class_margin")
        if values is None:
            return nd.zeros((1,), ctx=self.ctx)
        return nd.sum(values).reshape((1,))

    def row_shapes(self):
        """Return {name: shape of a row} of the arrays."""
        return {"weight": (self.width,), **dict.fromkeys(self.vectors, ())}

    def arrays(self):
        """Return {name: NumPy array with a row for each class}."""
        self.project()
        found = {}
        for name, row in self.row_shapes().items():
            data = self._data(name)
            found[name] = np.zeros((0, *row), np.float32) if data is None else data.asnumpy()
        return found

    def load(self, name, first, rows):
        """Write rows of an array, from the class ``start + first`` on."""
        self._data(name)[first : first + len(rows)] = nd.array(rows, ctx=self.ctx)
