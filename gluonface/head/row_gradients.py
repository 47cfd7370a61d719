"""The gradients of sampled rows between the backward pass and the update.

They are kept with their part along the rows still in them where that has no effect on the loss:
the update takes it off block by block, when rows and gradient are in the cache anyway.
"""

import numpy as np

from .._compat import mx

__all__ = ["RowGradients"]

nd = mx.nd
TINY = 1e-24  # so that rows of zeros divide nothing by zero; their gradient is 0


class Pending:
    """Gradients of the rows `index`, which the update will use.

    Attributes
    ----------
    index : numpy.ndarray (m,) int64
    weight : (m, k D) array of the store's kind
        The rows as they are.
    grad : (m, k D) array of the store's kind, or None until the step is asked for it
        Their gradient; its part along the rows is still in it if `radial` says so.
    vectors : dict of str to NDArray (m,)
        Gradients of the bias and the class margins.
    views : tuple of NDArray
        What the step knows `weight` and the gradient by.
    squares : numpy.ndarray (m k,) or None
        The squared lengths of the rows, if known.
    """

    def __init__(self, index, weight, grad, vectors, views, radial, squares=None):
        self.index, self.weight, self.grad, self.vectors = index, weight, grad, vectors
        self.views, self.radial, self.squares = views, radial, squares


class RowGradients:
    """The gradients of the backward passes since the last update.

    Parameters
    ----------
    head : PartialFC
    store : HostStore, DiskStore or DeviceStore
    vectors : list of str
        Which of ``bias`` and ``class_margin`` the margin has.

    Attributes
    ----------
    trigger : NDArray (1,)
        Makes autograd call back even if neither the embedding nor anything else wants a gradient.
    """

    def __init__(self, head, store, vectors):
        self.head, self.margin, self.width = head, head.margin, head.width
        self.store, self.vectors, self.pending = store, vectors, []
        self.trigger = nd.zeros((1,), ctx=head.ctx)
        self.trigger.attach_grad()

    def collect(self, step, grad, targets):
        """Keep the gradients of a step's rows; return that of all embeddings by this shard."""
        shard, store, ctx = step.shard, self.store, self.head.ctx
        if shard is None:
            return None
        m = len(shard.index)
        if ctx.device_type == "cpu":
            written = store.to_step(store.buffer(m, self.width))
        else:
            written = nd.empty((m, self.width), ctx=ctx)
        vectors = {name: nd.empty((m,), ctx=ctx) for name in self.vectors}
        pairs = [
            None if a is None else (a, False) for a in map(vectors.get, ("bias", "class_margin"))
        ]
        grad_x = step.gradients(grad, (written, False), *pairs, radial=False)
        radial = self.margin.unit_weight
        views = (shard.weight, written)
        self.pending.append(
            Pending(shard.index, shard.rows, None, vectors, views, radial, shard.squares)
        )
        return grad_x

    def merged(self):
        """Make one of all pending gradients, adding up by row; return it, or None."""
        self._wait()
        for each in self.pending:
            if each.grad is None:  # waits for it, and for who still reads the rows
                each.grad = self.store.from_step(each.views[1])
                self.store.from_step(each.views[0])
        if len(self.pending) > 1:
            index = np.unique(np.concatenate([each.index for each in self.pending]))
            weight = self.store.buffer(len(index), self.width)
            grad = self.store.zeros((len(index), self.width))
            vectors = {name: nd.zeros((len(index),), ctx=self.head.ctx) for name in self.vectors}
            for block in self.store.blocks(len(index), self.width):
                self.store.read("weight", index[block], out=weight[block])
            for each in self.pending:
                where = np.searchsorted(index, each.index)
                for block in self.store.blocks(len(where), self.width):
                    self.project(each, block)
                self._add(grad, where, each.grad)
                for name, values in each.vectors.items():
                    at = nd.array(where, ctx=self.head.ctx, dtype="int64")
                    vectors[name] = vectors[name] + _spread(values, at, len(index))
            self.release()
            self.pending = [Pending(index, weight, grad, vectors, (), False)]
        return self.pending[0] if self.pending else None

    def _wait(self):
        """Wait for the backward passes that were asked for: MXNet runs them in a thread."""
        self.trigger.grad.wait_to_read()

    def _add(self, total, where, rows):
        if isinstance(total, np.ndarray):
            total[where] += rows
        else:
            at = nd.array(where, ctx=self.head.ctx, dtype="int64")
            total += _spread(rows, at, total.shape[0])

    def project(self, each, block):
        """Take from a block of the gradient its part along the rows."""
        if not each.radial:
            return
        shape = (-1, self.head.embedding_size)
        g, w = each.grad[block].reshape(shape), each.weight[block].reshape(shape)
        along = self.store.row_dot(g, w)
        along /= self.store.row_dot(w, w) + TINY
        g -= w * along

    def pull(self, each, block):
        """Return what multiple (m, 1) of the rows takes the part along them off the gradient."""
        if not each.radial or self.margin.subcenters > 1:
            self.project(each, block)
            return None
        g, w = each.grad[block], each.weight[block]
        along = self.store.row_dot(g, w)
        if each.squares is None:
            along /= -self.store.row_dot(w, w) - TINY
        else:
            along /= -each.squares[block, None] - np.float32(TINY)
        return along

    def square_sum(self):
        """Return the sum of squares of the pending gradient, float."""
        each = self.merged()
        if each is None:
            return 0.0
        total = 0.0
        for block in self.store.blocks(len(each.index), self.width):
            self.project(each, block)
            total += _square(each.grad[block].reshape((-1,)))
        each.radial = False
        for values in each.vectors.values():
            total += float(nd.sum(nd.square(values)).asscalar())
        return total

    def drop(self):
        """Forget the pending gradients of passes that may be under way."""
        self._wait()
        self.release()

    def release(self):
        """Forget the pending gradients and give back their room."""
        for each in self.pending:
            views = each.views or (None, None)
            self.store.release(each.weight, views[0])
            if each.grad is None:
                each.grad = self.store.from_step(views[1])
            self.store.release(each.grad, views[1])
        self.pending = []


def _square(values):
    if isinstance(values, np.ndarray):
        return float(np.dot(values, values))
    return float(nd.sum(nd.square(values)).asscalar())


def _spread(values, at, size):
    """Return zeros of `size` rows with `values` in the rows `at`, each once."""
    shape = (size, *values.shape[1:])
    return nd.scatter_nd(values, nd.expand_dims(at, axis=0), shape=shape)
