"""The head that owns its rows: which classes take part in a step, and their update.

All work of a step is on the m sampled rows; nothing is done for the other n - m.
"""

import numpy as np

from .._compat import mx
from ..errors import InputError
from .class_chunk import Shard
from .initial_centers import initial_centers
from .row_gradients import RowGradients
from .row_optimizers import Missed, check_mode, make_rule
from .sampling import HashDraws, check_index, exact_sample
from .storage import make_store

__all__ = ["SampledRows"]

nd = mx.nd


class SampledRows:
    """The rows of a rank's classes, of which some take part in each step.

    Parameters
    ----------
    head : PartialFC
    sampler : {"hash", "exact"}
    unbiased : bool
    mode : {"frozen", "catchup", "reset"}
    place : {"memory", "host", "disk"}
    path : path or None
    """

    def __init__(self, head, sampler, unbiased, mode, place, path):
        self.head, self.margin = head, head.margin
        self.sampler, self.unbiased, self.mode = sampler, unbiased, mode
        check_mode(mode, None)
        self.size, self.width = head.stop - head.start, head.width
        self.rule = self.missed = self.last = self.count = None
        self.updates = self.sampled = 0  # updates done; classes in the last step
        shard = (head.start, head.stop, head.sample_rate, head.seed)
        self.draws = HashDraws(*shard, then=self._expect)
        label = f"{head.name}-{head.comm.rank}"
        self.store = make_store(place, head.ctx, self.size, path, label)

        def fill(first, last):
            return initial_centers(head.start + first, head.start + last, self.width, head.seed)

        self.store.add("weight", self.width, fill, head.start)
        self.vectors = []
        if self.margin.has_bias:
            self.vectors.append("bias")
            self.store.add("bias")
        if self.margin.has_class_margin:
            self.vectors.append("class_margin")
            initial = self.margin.initial_margin
            self.store.add("class_margin", None, lambda a, b: np.full(b - a, initial, np.float32))
        self.gradients = RowGradients(head, self.store, self.vectors)

    # What takes part

    def sample(self, labels, index=None):
        """Return the sorted local ids that take part, and those of them that are positive."""
        head = self.head
        inside = labels[(labels >= head.start) & (labels < head.stop)]
        positives = np.unique(inside) - head.start
        if index is not None:
            return check_index(index, self.size, positives), positives
        if self.sampler == "hash":
            return self.draws(positives, head.sampling_step), positives
        arguments = (head.sample_rate, positives, head.seed, head.sampling_step)
        return exact_sample(head.start, head.stop, *arguments), positives

    def take(self, labels, index=None):
        """Return the shard (or None) that a step on the samples of all ranks uses."""
        explicit = index is not None
        self.store.ready()  # before the thread of the draws uses it
        index, positives = self.sample(labels, index)
        self.sampled = len(index)
        if not len(index):
            return None
        head, store, m = self.head, self.store, len(index)
        ahead = self.draws.ahead and not explicit and self.sampler == "hash"
        self._expect(positives if ahead else index)
        weight = store.buffer(m, self.width)
        squares = np.empty(m * self.margin.subcenters, np.float32)
        known = isinstance(weight, np.ndarray) and self.margin.unit_weight
        for block in store.blocks(m, self.width):
            rows = store.read("weight", index[block], out=weight[block])
            self._catch_up(index[block], rows)
            if known:
                k = self.margin.subcenters
                each = rows.reshape(-1, head.embedding_size)
                np.einsum("ij,ij->i", each, each, out=squares[block.start * k : block.stop * k])
        view = store.to_step(weight)
        vectors = {name: store.to_step(self._read(name, index)) for name in self.vectors}
        shard = Shard(head.start, head.stop, view, view, **vectors)
        shard.index, shard.rows, shard.squares = index, weight, squares if known else None
        if known:
            lengths = np.sqrt(squares)
            inverse = (lengths > 1e-12) / np.maximum(lengths, np.float32(1e-12))
            shard.inverse = nd.array(inverse, ctx=head.ctx)
        if self.unbiased:
            shard.shift = nd.array(self._shift(index, positives, explicit), ctx=head.ctx)
        return shard

    def _expect(self, index):
        """Have the store fetch what a step needs of these rows; runs in a thread, too."""
        self.store.expect(("weight", *(self.rule.slots if self.rule else ())), index)

    def _read(self, name, index):
        rows = self.store.read(name, index)
        self._catch_up(index, rows, name)
        return rows

    def _shift(self, index, positives, explicit):
        """Return log(1 / probability to be sampled) of each class; positives always are."""
        rest, chosen = self.size - len(positives), len(index) - len(positives)
        ratio = rest / max(1, chosen)
        if self.sampler == "hash" and not explicit:
            ratio = 1.0 / self.head.sample_rate
        shift = np.full(len(index), np.log(ratio), np.float32)
        shift[np.searchsorted(index, positives)] = 0.0
        return shift

    def _catch_up(self, index, rows, name="weight"):
        """Do for some rows, in place and in the store, the steps that they missed."""
        if self.missed is None or self.updates == self.missed.origin:
            return
        last = self.last[index]
        if name != "weight":  # vectors have no decay, and their momentum stays frozen
            return
        if (last == self.updates).all():
            return
        slots = [self.store.read(slot, index) for slot in self.rule.slots]
        self.missed.apply(last, rows, slots, self.store.wrap)
        self.store.write("weight", index, rows)
        for slot, values in zip(self.rule.slots, slots):
            self.store.write(slot, index, values)
        self.last[index] = self.updates

    # Update

    def set_rule(self, name, **options):
        """Choose the optimizer, and make room for what it keeps for each row."""
        rule = make_rule(name, **options)
        check_mode(self.mode, rule)
        if self.rule is not None:
            raise InputError("the head has its optimizer already; set_optimizer is called once")
        self.rule = rule
        for slot in rule.slots:
            self.store.add(slot, self.width)
            for vector in self.vectors:
                self.store.add(f"{vector}.{slot}")
        self.store.ready()
        if rule.counts:
            self.count = np.zeros(self.size, np.int32)
        elif self.mode != "frozen":
            self.last = np.zeros(self.size, np.int32)
            self.missed = Missed() if self.mode == "catchup" else None

    def update(self, lr, scale):
        """Update the pending rows by their gradients times `scale`; count one update."""
        if self.rule is None:
            raise InputError("call set_optimizer before update")
        each = self.gradients.merged()
        if each is not None:
            for block in self.store.blocks(len(each.index), self.width):
                self._update_rows(each, block, lr, scale)
            for name, values in each.vectors.items():
                self._update_vector(name, each.index, values, lr, scale)
            if self.count is not None:
                self.count[each.index] += 1
        self.gradients.release()
        self.updates += 1
        if self.last is not None and each is not None:
            self.last[each.index] = self.updates
        if self.missed is not None:
            self.missed.advance(self.rule.step_matrix(lr))
            if each is not None and self.missed.full:
                self.flush()

    def _update_rows(self, each, block, lr, scale):
        store, rule, index = self.store, self.rule, each.index[block]
        w, g, pull = each.weight[block], each.grad[block], self.gradients.pull(each, block)
        slots = [store.read(slot, index) for slot in rule.slots]
        if self.mode == "reset" and self.last is not None:
            fresh = (self.last[index] == self.updates).astype(np.float32)[:, None]
            for slot in slots:
                slot *= store.wrap(fresh)
        rule.apply(w, g, slots, lr, scale, pull, True, self._rate(index, lr), store.sqrt)
        store.write("weight", index, w)
        for slot, values in zip(rule.slots, slots):
            store.write(slot, index, values)

    def _rate(self, index, lr):
        """Return the step length of AdamW for each row, (m, 1), with this update counted."""
        if self.count is None:
            return lr
        return self.store.wrap(self.rule.rate(self.count[index] + 1, lr))

    def _update_vector(self, name, index, grad, lr, scale):
        """Update the bias or the margins of some classes: never decayed, momentum frozen."""
        store, rule = self.store, self.rule
        w, g = store.read(name, index), store.from_step(grad)
        slots = [store.read(f"{name}.{slot}", index) for slot in rule.slots]
        rate = self._rate(index, lr)
        if rate is not lr:
            rate = rate.reshape((-1,))
        rule.apply(w, g, slots, lr, scale, None, False, rate, store.sqrt)
        if name == "class_margin":
            low, high = 0.0, self.margin.max_margin
            w = np.clip(w, low, high) if isinstance(w, np.ndarray) else nd.clip(w, low, high)
        store.write(name, index, w)
        for slot, values in zip(rule.slots, slots):
            store.write(f"{name}.{slot}", index, values)

    def flush(self):
        """Do for all rows the steps that they missed."""
        if self.missed is None or self.updates == self.missed.origin:
            return
        for first in range(0, self.size, 4096):
            index = np.arange(first, min(self.size, first + 4096))
            self._catch_up(index, self.store.read("weight", index))
        self.missed.restart(self.updates)
        self.last[:] = self.updates

    # Rows in and out

    def total(self, name):
        """Return the sum of a vector over all classes, NDArray (1,)."""
        values = self.store.arrays[name].sum() if self.size else 0.0
        if not isinstance(values, nd.NDArray):
            values = nd.array([values], ctx=self.head.ctx)
        return values.reshape((1,))

    def shapes(self):
        """Return {name: shape of a row} of all that `export` gives."""
        found = {name: tuple(array.shape[1:]) for name, array in self.store.arrays.items()}
        found.update({name: () for name, own in self._counters().items() if own is not None})
        return found

    def _counters(self):
        return {"count": self.count, "last_step": self.last}

    def export(self):
        """Return {name: array-like with a row for each class}, all rows up to date."""
        self.flush()
        found = {name: self.store.export(name) for name in self.store.arrays}
        found.update({name: own for name, own in self._counters().items() if own is not None})
        return found

    def load(self, name, first, rows):
        """Write rows of the array `name` from the local id `first` on."""
        own = self._counters().get(name)
        if own is not None:
            own[first : first + len(rows)] = rows
        else:
            self.store.put(name, first, rows)

    def loaded(self, updates):
        """Take note that all rows come from a checkpoint after that many updates."""
        self.updates = updates
        self.gradients.release()
        if self.missed is not None:
            self.missed.restart(updates)
            self.last[:] = updates
