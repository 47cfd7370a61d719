"""Class centres that update themselves, of which a sample is in each step.

All work of a step is on the m sampled rows; nothing is done for the other n - m.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from .._compat import mx
from ..errors import InputError
from .binary.terms import LazyGradient
from .class_centers import ClassCenters, Selection
from .class_chunk import Shard
from .initial_centers import initial_centers
from .row_optimizers import LazyUpdates, check_mode, row_optimizer
from .sampling import HashSampler, check_index, exact_sample
from .storage import make_store

__all__ = ["SampledCenters"]

nd = mx.nd
COMPUTED = 1 << 18  # numbers of gradients that are computed at a time for a compiled update
TINY = 1e-24  # so that rows of zeros divide nothing by zero; their gradient is 0


@dataclasses.dataclass
class _Pending:
    """Gradients of some rows between a backward pass and the update.

    They are kept with their components along the rows where these have no effect on the loss: the
    update subtracts them block by block, when rows and gradients are in the cache anyway.
    """

    index: Any  # numpy.ndarray (m,) int64, the rows; or the slice of all
    weight: Any  # (m, k D) array of the store's kind, the rows as they were read for the step
    # Like `weight`; None while the backward pass may be under way; or a `LazyGradient`.
    grad: Any
    vectors: dict  # name -> NDArray (m,), gradients of the bias and the class margins
    used_by_step: Any  # the NDArrays of `weight` and the gradient in the step; None once merged
    radial: bool  # whether the components along the rows are still in `grad`
    squares: Any = None  # numpy.ndarray (m k,), the squared lengths of the rows, if known


class SampledCenters(ClassCenters):
    """The rows of a rank's classes, of which some are in each step, and their optimizer.

    Parameters
    ----------
    margin, start, stop, width, ctx, initial_bias
        As of `ClassCenters`.
    sample_rate : float
    seed : int
        Of initial centres and samples.
    sampler : {"hash", "exact"}
    unbiased : bool
    momentum_mode : {"frozen", "catchup", "reset"}
    place : {"memory", "host", "disk"}
    path : path or None
    label : str
        Begins the names of files on disk.
    negative_weight : {"inclusion", "none"}
        Of binary losses.
    """

    def __init__(
        self,
        margin,
        start,
        stop,
        width,
        ctx,
        initial_bias,
        sample_rate,
        seed,
        sampler,
        unbiased,
        momentum_mode,
        place,
        path,
        label,
        negative_weight="inclusion",
    ):
        super().__init__(margin, start, stop, width, ctx, initial_bias)
        self.seed = seed
        self.sampler, self.unbiased, self.momentum_mode = sampler, unbiased, momentum_mode
        check_mode(momentum_mode, None)
        self.binary = margin.family == "binary"
        self.weighs = self.binary and negative_weight == "inclusion"
        self.on_disk = place == "disk"
        self.shared, self.shared_gradients = {}, []
        if margin.has_shared_bias:
            self.shared["bias"] = np.full(1, initial_bias, np.float32)
        self.lazy_updates = self.lazy_vectors = self.last_step = self.count = None
        self.pending = []  # gradients of the backward passes since the last update
        # Makes autograd call back even if neither the embedding nor anything else wants a gradient.
        self.trigger = nd.zeros((1,), ctx=ctx)
        self.trigger.attach_grad()
        self.set_sample_rate(sample_rate)
        self.store = make_store(place, ctx, self.size, path, label)

        def fill(first, last):
            return initial_centers(start + first, start + last, width, seed)

        self.store.add("weight", width, fill, start)
        if margin.has_bias:
            initial = 0.0 if initial_bias is None else initial_bias
            self.store.add("bias", None, lambda a, b: np.full(b - a, initial, np.float32))
        if margin.has_class_margin:
            initial = margin.initial_margin
            self.store.add("class_margin", None, lambda a, b: np.full(b - a, initial, np.float32))

    # The classes of a step

    def set_sample_rate(self, rate):
        """As `ClassCenters.set_sample_rate`. What a thread has drawn at another rate is dropped."""
        self.sample_rate = rate
        # All rows are in every step and may be read where they are.
        self.whole = self.binary and rate == 1.0 and not self.on_disk
        self.hash_sampler = HashSampler(self.start, self.stop, rate, self.seed, then=self._prefetch)

    def sample(self, labels, step, index=None):
        """Return the sorted local ids of the step, and those of them that are positive."""
        inside = labels[(labels >= self.start) & (labels < self.stop)]
        positives = np.unique(inside) - self.start
        if index is not None:
            return check_index(index, self.size, positives), positives
        if self.sampler == "hash":
            return self.hash_sampler(positives, step), positives
        arguments = (self.sample_rate, positives, self.seed, step)
        return exact_sample(self.start, self.stop, *arguments), positives

    def select(self, labels, index, step, training):
        """Return the `Selection` of a step, with a sample of the classes."""
        explicit = index is not None
        self.store.ready()  # before the thread of the sampler uses it
        shared = collect_shared = None
        if self.shared:
            shared = nd.array(self.shared["bias"], ctx=self.ctx)
            collect_shared = self._collect_shared
        if self.whole and not explicit and self.size:
            return self._select_all(shared, collect_shared)
        index, positives = self.sample(labels, step, index)
        self.sampled = m = len(index)
        if not m:
            nothing = (None, (self.trigger,), lambda gradients, targets: None)
            return Selection(*nothing, shared, collect_shared)
        store, k = self.store, self.margin.subcenters
        prefetched = self.hash_sampler.ahead and not explicit and self.sampler == "hash"
        self._prefetch(positives if prefetched else index)
        rows = store.buffer(m, self.width)
        squares = inverse = shift = None
        if isinstance(rows, np.ndarray) and self.margin.unit_weight:
            squares = np.empty(m * k, np.float32)
        compiled = store.compiled()
        for block in self._blocks(m, compiled):
            if compiled is not None:
                sums = None if squares is None else squares[block.start * k : block.stop * k]
                self._read_compiled(compiled, index[block], rows[block], sums)
                continue
            some = store.read("weight", index[block], out=rows[block])
            self._catch_up(index[block], some)
            if squares is not None:
                each = some.reshape(-1, self.width // k)
                np.einsum("ij,ij->i", each, each, out=squares[block.start * k : block.stop * k])
        weight = store.to_step(rows)
        vectors = {name: store.to_step(store.read(name, index)) for name in self.vectors}
        if squares is not None:
            lengths = np.sqrt(squares)
            inverse = (lengths > 1e-12) / np.maximum(lengths, np.float32(1e-12))
            inverse = nd.array(inverse, ctx=self.ctx)
        inclusion = self._inclusion_ratio(index, positives, explicit)
        if self.unbiased:
            shift = nd.array(np.log(inclusion), ctx=self.ctx)
        shard = Shard(
            self.start,
            self.stop,
            weight,
            **vectors,
            backward=(weight, vectors.get("bias"), vectors.get("class_margin")),
            inverse=inverse,
            shift=shift,
            index=index,
            column_weight=inclusion if self.weighs else None,
            inclusion=inclusion,
        )
        collect = functools.partial(self._collect, index, rows, squares, weight)
        return Selection(shard, (self.trigger,), collect, shared, collect_shared)

    def _select_all(self, shared, collect_shared):
        """Return the `Selection` of all classes, whose rows are not copied."""
        self.sampled = self.size
        if self.lazy_updates is not None and not (self.last_step == self.updates).all():
            self._catch_up_all()
        every, store = slice(0, self.size), self.store
        rows = store.read("weight", every)
        weight = store.to_step(rows)
        vectors = {name: store.to_step(store.read(name, every).copy()) for name in self.vectors}
        backward = (weight, vectors.get("bias"), vectors.get("class_margin"))
        shard = Shard(self.start, self.stop, weight, **vectors, backward=backward)
        collect = functools.partial(self._collect, every, rows, None, weight)
        return Selection(shard, (self.trigger,), collect, shared, collect_shared)

    def _prefetch(self, index):
        """Have the store fetch what a step needs of these rows; runs in a thread, too."""
        self.store.expect(("weight", *(self.optimizer.slots if self.optimizer else ())), index)

    def _inclusion_ratio(self, index, positives, explicit):
        """Return 1 over the probability to be sampled of each class; positives always are."""
        rest, chosen = self.size - len(positives), len(index) - len(positives)
        ratio = rest / max(1, chosen)
        if self.sampler == "hash" and not explicit:
            ratio = 1.0 / self.sample_rate
        found = np.full(len(index), ratio, np.float32)
        found[np.searchsorted(index, positives)] = 1.0
        return found

    def _read_compiled(self, compiled, index, rows, squares):
        """Read some rows, the updates that they missed made, and their squared lengths."""
        arrays, momentum, missed = self.store.arrays, None, None
        if self._behind(index):
            missed = self.lazy_updates.matrices(self.last_step[index])
            momentum = arrays["momentum"] if self.optimizer.slots else None
        self.store.touch(index)
        compiled.read(arrays["weight"], index, rows, squares, missed, momentum)
        if missed is not None:
            self._caught_up(index)

    def _behind(self, index=None):
        """Return whether rows, all or some, have missed updates that they are to make."""
        if self.lazy_updates is None or self.updates == self.lazy_updates.origin:
            return False
        return index is None or not (self.last_step[index] == self.updates).all()

    def _catch_up(self, index, rows):
        """Do for some classes the updates that they missed: `rows` in place, all in the store."""
        if not self._behind(index):
            return
        slots = [self.store.read(slot, index) for slot in self.optimizer.slots]
        self.lazy_updates.apply(self.last_step[index], rows, slots, self.store.wrap)
        self.store.write("weight", index, rows)
        for slot, values in zip(self.optimizer.slots, slots):
            self.store.write(slot, index, values)
        self._caught_up(index)

    def _caught_up(self, index):
        """Do for the biases and margins what was done for the centres of some classes."""
        for name in self.vectors:
            values, slots = self._current(name, index)
            self._store_vector(name, index, values, slots)
        self.last_step[index] = self.updates

    def _current(self, name, index):
        """Return the biases or margins of some classes and their momentum, up to date."""
        values = self.store.read(name, index)
        slots = [self.store.read(f"{name}.{slot}", index) for slot in self.optimizer.slots]
        self.lazy_vectors.apply(self.last_step[index], values, slots, self.store.wrap)
        return self._project(name, values), slots

    def _project(self, name, values):
        """Return the margins clipped to their range, or the biases as they are.

        Momentum alone moves a margin in one direction, so clipping once is clipping each step.
        """
        if name != "class_margin":
            return values
        clip = np.clip if isinstance(values, np.ndarray) else nd.clip
        return clip(values, 0.0, self.margin.max_margin)

    def _store_vector(self, name, index, values, slots):
        """Write the biases or margins of some classes, and their optimizer's state."""
        self.store.write(name, index, values)
        for slot, each in zip(self.optimizer.slots, slots):
            self.store.write(f"{name}.{slot}", index, each)

    # Gradients, from the backward pass to the update

    def _collect(self, index, rows, squares, weight, gradients, targets):
        """Keep the gradients of a step's rows; return that of all embeddings by this shard."""
        m, store = len(rows), self.store
        if self.binary:
            return self._collect_lazily(index, rows, squares, weight, gradients)
        if self.ctx.device_type == "cpu":
            written = store.to_step(store.buffer(m, self.width))
        else:
            written = nd.empty((m, self.width), ctx=self.ctx)
        vectors = {name: nd.empty((m,), ctx=self.ctx) for name in self.vectors}
        wanted = [vectors.get(name) for name in ("bias", "class_margin")]
        wanted = [None if array is None else (array, False) for array in wanted]
        grad_x = gradients([(written, False), *wanted], radial=False)
        arrays = (weight, written)
        radial = self.margin.unit_weight
        self.pending.append(_Pending(index, rows, None, vectors, arrays, radial, squares))
        return grad_x

    def _collect_lazily(self, index, rows, squares, weight, gradients):
        """As `_collect`, of a binary loss: the update computes the gradients of the rows."""
        bias = nd.empty((len(rows),), ctx=self.ctx) if "bias" in self.vectors else None
        wanted = [None, None if bias is None else (bias, False), None]
        lazy, grad_x = gradients(wanted, lazy=True)
        vectors = {} if bias is None else {"bias": bias}
        arrays = (weight, None)
        squares = lazy.squares if squares is None else squares
        self.pending.append(_Pending(index, rows, lazy, vectors, arrays, True, squares))
        return grad_x

    def _collect_shared(self, gradient, targets):
        """Keep the gradient (1,) of what all classes share."""
        self.shared_gradients.append(gradient)

    def merged(self):
        """Make one of all pending gradients, adding up by row; return it, or None."""
        self._wait()
        store = self.store
        for each in self.pending:
            if each.used_by_step is None:
                continue
            weight, grad = each.used_by_step  # waits for it, and for who still reads the rows
            if each.grad is None:
                each.grad = store.from_step(grad)
            store.from_step(weight)
        if len(self.pending) > 1:
            every = np.arange(self.size)
            indices = [every if isinstance(e.index, slice) else e.index for e in self.pending]
            index = np.unique(np.concatenate(indices))
            weight = store.buffer(len(index), self.width)
            grad = store.zeros((len(index), self.width))
            vectors = {name: nd.zeros((len(index),), ctx=self.ctx) for name in self.vectors}
            for block in store.blocks(len(index), self.width):
                store.read("weight", index[block], out=weight[block])
            for each, rows in zip(self.pending, indices):
                where = np.searchsorted(index, rows)
                for block in store.blocks(len(where), self.width):
                    found = each.grad[block]
                    self._subtract_radial(each, block, found)
                    self._add_rows(grad, where[block], found)
                for name, values in each.vectors.items():
                    vectors[name] = vectors[name] + self._scatter(values, where, len(index))
            self._release()
            self.pending = [_Pending(index, weight, grad, vectors, None, False)]
        return self.pending[0] if self.pending else None

    def _wait(self):
        """Wait for the backward passes that were asked for: MXNet runs them in a thread."""
        self.trigger.grad.wait_to_read()

    def _add_rows(self, total, where, rows):
        """Add rows to those of `total` at the places `where`, each once."""
        if isinstance(total, np.ndarray):
            total[where] += rows
        else:
            total += self._scatter(rows, where, total.shape[0])

    def _scatter(self, values, where, size):
        """Return zeros of `size` rows with `values` in the rows `where`, each once."""
        where = nd.array(where, ctx=self.ctx, dtype="int64")
        shape = (size, *values.shape[1:])
        return nd.scatter_nd(values, nd.expand_dims(where, axis=0), shape=shape)

    def _subtract_radial(self, each, block, grad):
        """Subtract from a block of the gradient its components along the rows, in place."""
        if not each.radial:
            return
        shape = (-1, self.width // self.margin.subcenters)
        g, w = grad.reshape(shape), each.weight[block].reshape(shape)
        along = self.store.row_dot(g, w)
        along /= self.store.row_dot(w, w) + TINY
        g -= w * along

    def _radial_factor(self, each, block, g):
        """Return the multiple (m, 1) of the rows whose addition leaves the gradient orthogonal.

        None if the gradient of the block is complete, as it is afterwards with sub-centres.
        """
        if not each.radial or self.margin.subcenters > 1:
            self._subtract_radial(each, block, g)
            return None
        w = each.weight[block]
        along = self.store.row_dot(g, w)
        if each.squares is None:
            along /= -self.store.row_dot(w, w) - TINY
        else:
            along /= -each.squares[block, None] - np.float32(TINY)
        return along

    def gradient_square_sum(self):
        """As `ClassCenters.gradient_square_sum`. Waits for the backward pass."""
        each = self.merged()
        total = 0.0
        if self.shared_gradients and self.start == 0:  # alike on all ranks: counted once
            total += float(np.square(self._shared_gradient()[0]))
        if each is None:
            return total
        for block in self.store.blocks(len(each.weight), self.width):
            grad = each.grad[block]
            self._subtract_radial(each, block, grad)
            total += _square_sum(grad.reshape((-1,)))
        each.radial = self.binary and isinstance(each.grad, LazyGradient)
        for values in each.vectors.values():
            total += _square_sum(values)
        return total

    def zero_grad(self):
        """Forget the pending gradients, of passes that may be under way as well."""
        self._wait()
        self._release()
        self.shared_gradients = []

    discard = zero_grad

    def _release(self):
        """Forget the pending gradients and give back their memory to the store."""
        for each in self.pending:
            weight, grad = each.used_by_step or (None, None)
            if not isinstance(each.index, slice):
                self.store.release(each.weight, weight)
            if isinstance(each.grad, LazyGradient):
                each.grad.release()
                continue
            if each.grad is None:
                each.grad = self.store.from_step(grad)
            self.store.release(each.grad, grad)
        self.pending = []

    # Update

    def set_optimizer(self, name, **options):
        """Choose the optimizer (`row_optimizer`), and make room for its state of each row."""
        optimizer = row_optimizer(name, **options)
        check_mode(self.momentum_mode, optimizer)
        if self.optimizer is not None:
            raise InputError("the head has its optimizer already; set_optimizer is called once")
        self.optimizer = optimizer
        for slot in optimizer.slots:
            self.store.add(slot, self.width)
            for vector in self.vectors:
                self.store.add(f"{vector}.{slot}")
            if self.shared:
                self.shared[f"bias.{slot}"] = np.zeros(1, np.float32)
        self.store.ready()
        if optimizer.counts_updates:
            if self.shared:
                self.shared["bias.count"] = np.zeros(1)
            self.count = np.zeros(self.size, np.int32)
        elif self.momentum_mode != "frozen":
            self.last_step = np.zeros(self.size, np.int32)
            if self.momentum_mode == "catchup":
                self.lazy_updates, self.lazy_vectors = LazyUpdates(), LazyUpdates()

    def update(self, lr, scale):
        """As `ClassCenters.update`. Counts one update also without gradients."""
        if self.optimizer is None:
            raise InputError("call set_optimizer before update")
        each = self.merged()
        if self.shared_gradients:
            self._update_shared(lr, scale)
        if each is not None:
            self._update_weight(each, lr, scale)
            for name, values in each.vectors.items():
                self._update_vector(name, each.index, values, lr, scale)
            if self.count is not None:
                self.count[each.index] += 1
        self._release()
        self.updates += 1
        if self.last_step is not None and each is not None:
            self.last_step[each.index] = self.updates
        if self.lazy_updates is not None:
            self.lazy_updates.advance(self.optimizer.step_matrix(lr))
            self.lazy_vectors.advance(self.optimizer.step_matrix(lr, decay=False))
            if each is not None and self.lazy_updates.full:
                self._catch_up_all()

    def _blocks(self, size, compiled, lazy=False):
        """Return slices of rows that are worked on one at a time, by compiled functions or not.

        With `lazy` gradients that are computed for a block.
        """
        if compiled is None or not self.store.at_once:
            return self.store.blocks(size, self.width)
        return self.store.blocks(size, self.width, COMPUTED) if lazy else [slice(0, size)]

    def _update_weight(self, each, lr, scale):
        """Update the rows of the centres and their state."""
        possible = self.optimizer.compiled and self.momentum_mode != "reset"
        compiled = self.store.compiled() if possible else None
        lazy, size = isinstance(each.grad, LazyGradient), len(each.weight)
        for block in self._blocks(size, compiled, lazy):
            w, g = each.weight[block], each.grad[block]
            index = block if isinstance(each.index, slice) else each.index[block]
            if compiled is None:
                self._update_rows(each, block, index, w, g, lr, scale)
            else:
                self._update_compiled(compiled, each, block, index, w, g, lr, scale)

    def _update_compiled(self, compiled, each, block, index, w, g, lr, scale):
        """Update a block of rows by SGD, each in one pass."""
        optimizer, radial = self.optimizer, each.radial
        tables = [self.store.arrays[name] for name in ("weight", *optimizer.slots)]
        if isinstance(index, slice):
            index, tables = None, [table[block] for table in tables]
        else:
            self.store.touch(index)
        if radial and self.margin.subcenters > 1:
            self._subtract_radial(each, block, g)
            radial = False
        squares = None if each.squares is None or not radial else each.squares[block]
        compiled.update(
            *(tables[0], tables[1] if optimizer.slots else None, index, w, g, radial, squares),
            *(-lr * scale, lr * optimizer.wd, optimizer.momentum),
        )

    def _update_rows(self, each, block, index, w, g, lr, scale):
        """Update a block of rows in the arithmetic of the store's arrays."""
        store, optimizer = self.store, self.optimizer
        radial = self._radial_factor(each, block, g)
        slots = [store.read(slot, index) for slot in optimizer.slots]
        self._reset(index, slots)
        optimizer.apply(w, g, slots, lr, scale, radial, True, self._rate(index, lr), store.sqrt)
        store.write("weight", index, w)
        for slot, values in zip(optimizer.slots, slots):
            store.write(slot, index, values)

    def _reset(self, index, slots):
        """With the mode ``reset``: set the momentum of classes that missed an update to 0."""
        if self.momentum_mode == "reset" and self.last_step is not None:
            fresh = (self.last_step[index] == self.updates).astype(np.float32)
            for slot in slots:
                slot *= self.store.wrap(fresh[:, None] if len(slot.shape) > 1 else fresh)

    def _rate(self, index, lr):
        """Return the learning rate of AdamW for each row, (m, 1), with this update counted."""
        if self.count is None:
            return lr
        return self.store.wrap(self.optimizer.rate(self.count[index] + 1, lr))

    def _update_vector(self, name, index, grad, lr, scale):
        """Update the bias or the margins of some classes, which are never decayed."""
        store, optimizer = self.store, self.optimizer
        w, g = store.read(name, index), store.from_step(grad)
        slots = [store.read(f"{name}.{slot}", index) for slot in optimizer.slots]
        self._reset(index, slots)
        rate = self._rate(index, lr)
        if rate is not lr:
            rate = rate.reshape((-1,))
        optimizer.apply(w, g, slots, lr, scale, None, False, rate, store.sqrt)
        self._store_vector(name, index, self._project(name, w), slots)

    def _shared_gradient(self):
        """Return the sum of the pending gradients of the shared bias, float32 (1,)."""
        return sum(each.asnumpy() for each in self.shared_gradients)

    def _update_shared(self, lr, scale):
        """Update the shared bias, alike on all ranks and without decay."""
        shared, optimizer, rate = self.shared, self.optimizer, lr
        if optimizer.counts_updates:
            shared["bias.count"] += 1
            rate = optimizer.rate(shared["bias.count"], lr).reshape(-1)
        slots = [shared[f"bias.{slot}"] for slot in optimizer.slots]
        grad = self._shared_gradient()
        optimizer.apply(shared["bias"], grad, slots, lr, scale, None, False, rate)
        self.shared_gradients = []

    def shared_state(self):
        """As `ClassCenters.shared_state`."""
        return {name: float(value[0]) for name, value in self.shared.items()}

    def load_shared(self, name, value):
        """As `ClassCenters.load_shared`."""
        self.shared[name][:] = value

    def _catch_up_all(self):
        """Do for all rows the updates that they missed."""
        if not self._behind():
            return
        for first in range(0, self.size, 4096):
            index = np.arange(first, min(self.size, first + 4096))
            self._catch_up(index, self.store.read("weight", index))
        self._restart()

    def _restart(self):
        """Take note that all rows are up to date."""
        self.lazy_updates.restart(self.updates)
        self.lazy_vectors.restart(self.updates)
        self.last_step[:] = self.updates

    # Rows in and out

    def class_margin_sum(self):
        """Return the sum of the learned margins of all classes of this rank, NDArray (1,)."""
        if self._behind():
            blocks = [
                self._current("class_margin", np.arange(first, min(self.size, first + 65536)))[0]
                for first in range(0, self.size, 65536)
            ]
            values = sum(block.sum() for block in blocks)
        else:
            values = self.store.arrays["class_margin"].sum() if self.size else 0.0
        if not isinstance(values, nd.NDArray):
            values = nd.array([values], ctx=self.ctx)
        return values.reshape((1,))

    def _counters(self):
        """Return {name: whole numbers (n,)} of what is counted for each class."""
        found = {"count": self.count, "last_step": self.last_step}
        return {name: array for name, array in found.items() if array is not None}

    def row_shapes(self):
        """Return {name: shape of a row} of the arrays."""
        found = {**self.store.arrays, **self._counters()}
        return {name: tuple(array.shape[1:]) for name, array in found.items()}

    def arrays(self):
        """Return {name: array with a row for each class}, up to date: the store's own."""
        self._catch_up_all()
        return {**{name: self.store.export(name) for name in self.store.arrays}, **self._counters()}

    def load(self, name, first, rows):
        """Write rows of an array, from the class ``start + first`` on."""
        counter = self._counters().get(name)
        if counter is not None:
            counter[first : first + len(rows)] = rows
        else:
            self.store.put(name, first, rows)

    def loaded(self, updates):
        """As `ClassCenters.loaded`."""
        self.updates = updates
        self._release()
        self.shared_gradients = []
        if self.lazy_updates is not None:
            self._restart()


def _square_sum(values):
    """Return the sum of squares of an array (n,), float."""
    if isinstance(values, np.ndarray):
        return float(np.dot(values, values))
    return float(nd.sum(nd.square(values)).asscalar())
