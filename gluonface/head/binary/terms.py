"""The terms of a binary loss of one rank's classes: values and derivatives, in small blocks.

A block of classes is so small that its logits stay in the cache; they are computed, used and
overwritten. Blocks are (classes, samples), the transpose of a softmax's logits: so the derivatives
of some classes are contiguous, and one product makes the gradient of their centres of them.

That gradient needs the gradient of each sample's loss, which is known in the backward pass only.
Until then the derivatives by the cosines are kept if they take less memory than the gradient of
the centres, that is for fewer samples than an embedding has numbers. Else, and where ``chunk`` is
given, the logits are computed once more.

On a CPU, in NumPy, and with ``native/binary_terms.cc`` where there is a C++ compiler: one pass
over the logits makes sums and derivatives of them. `device_terms` is the same for a GPU.
"""

import ctypes
import functools

import numpy as np

from ..._compat import mx
from ...native.plain import load_plain
from ..array_operations import as_numpy

__all__ = ["BinaryTerms", "LazyGradient"]

nd = mx.nd
CACHED = 1 << 20  # numbers of a block of centres: 4 MiB; of 0.5 to 8 MiB the fastest
HIGHEST = np.float32(80.0)  # exp of it is finite in float32; above it softplus(z) is z
FEW = np.float32(1e-3)  # below it d + d**2 / 2 is -log(1 - d) to 3e-7 of it
NO_LOGIT = np.float32(-1e30)


class BinaryTerms:
    """All samples against the classes of one rank.

    Parameters
    ----------
    settings : StepSettings
    shard : Shard
    labels : numpy.ndarray (N,) int64
    shared : NDArray (1,) or None
        The bias of all classes; else the shard has one for each.

    Attributes
    ----------
    grad_x : NDArray (N, D) or None
        Derivatives of each sample's loss by the normalised embedding, after `forward`.
    by_bias : NDArray (N,) or None
        Derivatives of each sample's loss by the shared bias.
    """

    def __init__(self, settings, shard, labels, shared):
        self.settings, self.margin = settings, settings.margin
        self.shard, self.shared = shard, shared
        self.size, self.total = shard.weight.shape[0], len(labels)
        samples, columns = shard.find(labels)
        order = np.argsort(columns, kind="stable")
        self.samples, self.columns = samples[order], columns[order]
        self.grad_x = self.by_bias = self.kept = self.rows = self.squares = None

    def forward(self, x, recording):
        """Compute the losses and, if `recording`, what the backward pass needs.

        Parameters
        ----------
        x : NDArray (N, D)
            Embeddings of all ranks, normalised.
        recording : bool

        Returns
        -------
        losses : NDArray (N,)
            The terms of these classes.
        figures : tuple of float
            Of the samples whose class is here: how many have a positive logit, and the sums of
            their cosines and of the squares of these. And the largest logit.
        """
        self.x_all, self.x, weight = x, as_numpy(x), self.shard.weight
        weight = as_numpy(weight) if isinstance(weight, nd.NDArray) else weight
        self.bias = self._read_bias()
        self.inverse = None if self.shard.inverse is None else self.shard.inverse.asnumpy()
        lengths = self.inverse is None
        if lengths:
            self.squares, self.inverse = np.empty((2, self.size), np.float32)
        width = x.shape[1]
        moves = self.shard.backward[0] is not None  # else the rows get no gradient
        if recording and moves and self.settings.chunk is None and self.total < width:
            self.kept = np.empty((self.size, self.total), np.float32)
        losses, slopes = np.zeros(self.total), np.zeros(self.total)
        grad_x = np.zeros((self.total, width), np.float32)
        accepted, cosines, squares, top = 0, 0.0, 0.0, NO_LOGIT
        for block, room, scratch in self._blocks():
            rows = weight[block]
            if lengths:
                self.squares[block], self.inverse[block] = _inverse_lengths(rows)
            out = room if self.kept is None else self.kept[block]
            found = self._derivatives(block, rows, out, scratch)
            own_loss, own_slope = found.own_loss, found.own_slope
            losses += found.losses
            slopes += found.slopes
            np.add.at(losses, found.samples, own_loss)
            np.add.at(slopes, found.samples, own_slope)
            accepted += int(np.count_nonzero(found.own_logit > 0))
            cosines += float(found.own_cosine.sum())
            squares += float(np.square(found.own_cosine, dtype=np.float64).sum())
            top = max(top, found.top)
            if recording:
                np.multiply(out, self.inverse[block, None], out=scratch)
                grad_x += np.matmul(scratch.T, rows)
        ctx = self.settings.ctx
        if recording:
            self.grad_x = nd.array(grad_x, ctx=ctx)
            self.by_bias = nd.array(slopes * self.margin.bias_sign, ctx=ctx)
        return nd.array(losses, ctx=ctx), (float(accepted), cosines, squares, float(top))

    def write_gradients(self, grad, weight, bias):
        """Write the gradients of centres and biases by the gradients of the losses, `grad` (N,).

        `weight` and `bias` are pairs (NDArray, add) or None, as autograd gives them.
        """
        if weight is None and bias is None:
            return
        rows = as_numpy(self.shard.backward[0])
        every, x = grad.asnumpy(), self._weighted(grad)
        weight, bias = _open(weight), _open(bias)
        sign = np.float32(self.margin.bias_sign / self.settings.scale)
        for block, room, scratch in self._blocks():
            slopes = self._again(block, rows[block], room, scratch)
            if bias is not None:
                _put(bias, block, np.matmul(slopes, every) * sign)
            if weight is not None:
                inverse = self.inverse[block, None]
                found = np.matmul(slopes * inverse, x)
                along = np.einsum("ij,ij->i", found, rows[block])[:, None]
                found -= rows[block] * (along * np.square(inverse))
                _put(weight, block, found)
        if weight is not None:
            self.release()

    def release(self):
        """Forget the derivatives: autograd keeps this object until its graph is dropped."""
        self.kept = self.rows = None

    def lazy(self, grad):
        """Return the gradient of the centres as a `LazyGradient`."""
        return LazyGradient(self, grad)

    def gradient_rows(self, block, x):
        """Return the gradient (n, D) of some centres, with its components along them.

        `x` (N, D) are the embeddings, each times the gradient of its loss.
        """
        slopes = None if self.kept is None else self.kept[block]
        if slopes is None:
            if self.rows is None:
                self.rows = as_numpy(self.shard.weight)  # once: it waits for MXNet's engine
            slopes, scratch = np.empty((2, block.stop - block.start, self.total), np.float32)
            self._derivatives(block, self.rows[block], slopes, scratch)
        return np.matmul(slopes * self.inverse[block, None], x)

    def _weighted(self, grad):
        """Return the embeddings, each times the gradient of its loss."""
        return self.x * grad.asnumpy()[:, None]

    def _read_bias(self):
        """Return what is added to the logits: a number, or (m,)."""
        sign = np.float32(self.margin.bias_sign)
        if self.shared is not None:
            return np.float32(self.shared.asscalar()) * sign
        return self.shard.bias.asnumpy() * sign

    def _blocks(self):
        """Yield slices of the classes, each with two arrays (n, N) to work in."""
        step = CACHED // max(self.total, self.x.shape[1])
        step = max(1, min(step, self.settings.chunk or self.size, self.size))
        room, scratch = np.empty((2, step, self.total), np.float32)
        for first in range(0, self.size, step):
            block = slice(first, min(self.size, first + step))
            count = block.stop - first
            yield block, room[:count], scratch[:count]

    def _again(self, block, rows, room, scratch):
        """Return the derivatives of a block, as kept or computed once more."""
        if self.kept is not None:
            return self.kept[block]
        self._derivatives(block, rows, room, scratch)
        return room

    @np.errstate(invalid="ignore")  # NaN of one embedding; the caller sees it in the loss
    def _derivatives(self, block, rows, out, scratch):
        """Write the derivatives of the losses by the cosines into `out` (n, N).

        Returns
        -------
        _Block
        """
        settings, margin = self.settings, self.margin
        scale = np.float32(settings.scale)
        bias = self.bias if np.ndim(self.bias) == 0 else self.bias[block]
        inverse = self.inverse[block]
        a, b = np.searchsorted(self.columns, (block.start, block.stop))
        own = self.columns[a:b] - block.start, self.samples[a:b]
        logits = np.matmul(rows, self.x.T, out=out)
        own_cosine = logits[own] * inverse[own[0]]
        slope = factors = None
        if margin.changes_others or settings.filter_above is not None:
            logits *= inverse[:, None]
            far = None if settings.filter_above is None else logits > settings.filter_above
            values, slope = margin.rest(np, logits, settings.strength)
            np.multiply(values, scale, out=logits)
            if far is not None:
                logits[far] = NO_LOGIT
        else:
            factors = inverse * scale
        value, own_slope = margin.own(np, own_cosine, settings.strength)
        own_logit = value * scale + (bias if np.ndim(bias) == 0 else bias[own[0]])
        weight = self.shard.column_weight
        weight = None if weight is None else weight[block]
        if self.shard.zeros_are_absent:
            there = (inverse > 0).astype(np.float32)
            weight = there if weight is None else weight * there
        sums = _compiled() or _sums
        factor = np.float32(margin.negative_weight) * scale
        losses, slopes, top = sums(logits, scratch, factors, bias, weight, factor, own)
        top = max(top, own_logit.max(initial=NO_LOGIT))
        if slope is not None:
            out *= slope
        # In float64: they are few, and the hardest ones are all of a loss.
        negated = -own_logit.astype(np.float64)
        own_loss = np.logaddexp(0.0, negated) * margin.positive_weight
        by_logit = -np.exp(negated - np.logaddexp(0.0, negated)) * margin.positive_weight
        out[own] = by_logit * scale if own_slope is None else by_logit * scale * own_slope
        return _Block(
            losses=losses * margin.negative_weight,
            slopes=slopes * margin.negative_weight,
            top=top,
            samples=own[1],
            own_logit=own_logit,
            own_cosine=own_cosine,
            own_loss=own_loss,
            own_slope=by_logit,
        )


class _Block:
    """What `BinaryTerms._derivatives` finds: sums (N,) over the others, and the own terms (k,)."""

    def __init__(self, **found):
        vars(self).update(found)


class LazyGradient:
    """The gradient of some centres, of which blocks of rows are computed when they are asked for.

    So an update takes no array of the size of the centres. ``lazy[block]`` is a new array (n, D),
    with the components along the centres.

    Parameters
    ----------
    terms : BinaryTerms
    grad : NDArray (N,)
        The gradients of the losses.
    """

    def __init__(self, terms, grad):
        # A copy: autograd uses the memory again once the backward pass is over.
        self.terms, self.grad, self.x = terms, grad.copy(), None

    @property
    def squares(self):
        """The squared lengths of the centres, if the step has computed them."""
        return self.terms.squares

    def release(self):
        """Free the memory of the step."""
        self.terms.release()

    def __getitem__(self, block):
        """Return the gradient of the rows of a slice."""
        if self.x is None:
            self.x = self.terms._weighted(self.grad)
        return self.terms.gradient_rows(block, self.x)


def _inverse_lengths(rows):
    """Return the squared lengths of rows, and 1 over the lengths, or 0 for a row of zeros."""
    squares = np.einsum("ij,ij->i", rows, rows)
    lengths = np.sqrt(squares)
    return squares, (lengths > 1e-12) / np.maximum(lengths, np.float32(1e-12))


def _sums(logits, scratch, factors, bias, weight, factor, own):
    """Turn logits (n, N) into the derivatives by them, in place; return sums over the classes.

    Parameters
    ----------
    logits, scratch : numpy.ndarray (n, N)
        `scratch` is overwritten.
    factors : numpy.ndarray (n,) or None
        What the logits are multiplied by first.
    bias : float or numpy.ndarray (n,)
        What is added then.
    weight : numpy.ndarray (n,) or None
        What the terms of a class are multiplied by.
    factor : float
        What the derivatives are multiplied by.
    own : tuple of numpy.ndarray (k,) int64
        Classes, sorted, and samples of the terms that are left out.

    Returns
    -------
    losses, slopes : numpy.ndarray (N,) float64
        Of log(1 + exp(logit)), and of the sigmoids.
    top : float
        The largest logit.
    """
    if factors is not None:
        logits *= factors[:, None]
    logits += bias if np.ndim(bias) == 0 else bias[:, None]
    logits[own] = NO_LOGIT
    top = logits.max()
    weight = np.ones(len(logits), np.float32) if weight is None else weight
    losses, slopes = _softplus(logits, scratch, weight, top)
    logits *= (weight * factor)[:, None]
    return losses, slopes, top


@functools.lru_cache(maxsize=1)
def _compiled():
    """Return ``native/binary_terms.cc`` as a function like `_sums`, or None."""
    library = load_plain("binary_terms", "binary losses are computed in NumPy, slower", True)
    if library is None:
        return None
    function = library.gluonface_binary_terms
    array, count, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    function.argtypes = (
        *(array, count, count, array, array, number, array, number),
        *(array, array, count, array, array),
    )
    function.restype = number

    def sums(logits, scratch, factors, bias, weight, factor, own):
        classes, samples = (np.ascontiguousarray(each, np.int64) for each in own)
        losses, slopes = np.empty((2, logits.shape[1]))
        each, one = (None, bias) if np.ndim(bias) == 0 else (bias, 0.0)
        pointers = [
            None if array is None else array.ctypes.data
            for array in (logits, factors, each, weight, classes, samples, losses, slopes)
        ]
        top = function(
            *(pointers[0], *logits.shape, *pointers[1:3], one, pointers[3], factor),
            *(*pointers[4:6], len(classes), *pointers[6:]),
        )
        return losses, slopes, top

    return sums


def _softplus(logits, scratch, weight, top):
    """Turn logits (n, N) into sigmoids, in place; return weighted sums over the classes.

    Returns
    -------
    losses, slopes : numpy.ndarray (N,)
        Of log(1 + exp(logit)), and of the sigmoids, each times its class's number in `weight`.
    """
    above = None
    if not top <= HIGHEST:  # or it is NaN
        np.subtract(logits, HIGHEST, out=scratch)
        np.maximum(scratch, 0.0, out=scratch)
        above = np.matmul(weight, scratch)
        np.minimum(logits, HIGHEST, out=logits)
    np.exp(logits, out=logits)
    # Most sigmoids d are small: there log(1 + exp(z)) = -log(1 - d) is d + d**2 / 2, which takes
    # two products in place of a logarithm.
    large = np.flatnonzero(logits > FEW)
    exact = np.log1p(logits.reshape(-1)[large])
    np.add(logits, 1.0, out=scratch)
    np.divide(logits, scratch, out=logits)
    np.multiply(logits, logits, out=scratch)
    slopes = np.matmul(weight, logits).astype(np.float64)
    losses = slopes + 0.5 * np.matmul(weight, scratch)
    if len(large):
        rows, columns = np.divmod(large, logits.shape[1])
        near = logits.reshape(-1)[large].astype(np.float64)
        more = (exact - near - 0.5 * near * near) * weight[rows]
        losses += np.bincount(columns, more, minlength=logits.shape[1])
    if above is not None:
        losses += above
    return losses, slopes


def _open(target):
    """Return a pair (NDArray, add) with the array's memory on the CPU, or None."""
    return None if target is None else (as_numpy(target[0]), target[1])


def _put(target, block, values):
    """Write or add values to some rows, as a pair of `_open` says."""
    array, add = target
    if add:
        array[block] += values
    else:
        array[block] = values
