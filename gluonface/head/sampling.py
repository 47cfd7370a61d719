"""The classes that are sampled in a step: a pure function of (seed, step, class), or a quota.

A class's key is a hash of the seed, the step and its global id, so it does not matter how many
ranks there are or which of them owns it, and there is no generator whose state would have to be
saved. At small rates groups of classes are drawn first: the key of a group says how many of its
classes are in the sample, and most have none. Drawing 1 % of five million classes took a core 10 ms
so, and 19 ms with a key for each. The draw of the next step is made in a thread while this one
runs: it needs neither labels nor embeddings.
"""

import math
import threading

import numpy as np

from ..errors import InputError

__all__ = ["SAMPLERS", "HashSampler", "check_index", "exact_sample", "hash_keys", "hash_sample"]

BITS = 16
BLOCK = 1 << BITS  # ids hashed at a time: 256 KiB of keys stay in the cache
WORD = 2**32
FACTORS = (0x85EBCA6B, 0xC2B2AE35)  # of MurmurHash3's finalizer
GROUP = 16  # classes that are drawn together at rates up to this:
GROUPS_UP_TO = 0.015
OTHER = (0x9E3779B9, 0x7F4A7C15)  # makes a second hash of the first
THREAD_FROM = 1 << 18  # fewer classes are drawn faster than a thread starts
SAMPLERS = ("hash", "exact")


def _words(seed, step):
    """Return two 32-bit words from seed and step (splitmix64 of each, added)."""
    mask = (1 << 64) - 1
    value = 0
    for number in (seed, step):
        value = (value + number + 0x9E3779B97F4A7C15) & mask
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        value ^= value >> 31
    return np.uint32(value >> 32), np.uint32(value & (WORD - 1))


def _xorshift_multiply(keys, scratch, shift, factor=None):
    """Do ``keys ^= keys >> shift; keys *= factor`` in place."""
    np.right_shift(keys, np.uint32(shift), out=scratch)
    np.bitwise_xor(keys, scratch, out=keys)
    if factor is not None:
        np.multiply(keys, np.uint32(factor), out=keys)


def _blocks(start, stop, seed, step):
    """Yield the keys of aligned blocks of ids, without their last operation, and their places.

    The key of an id is ``mix(mix(id ^ high) + low)`` with the finalizer of MurmurHash3 as `mix`,
    whose last operation, ``key ^= key >> 16``, does not change the upper 16 bits: a search for
    small keys needs it for a few only.

    Yields
    ------
    first : int
        The block's first id, a multiple of `BLOCK`; the block may begin before `start`.
    flip : int
        Entry u is of the id ``first + (u ^ flip)``.
    keys : numpy.ndarray (BLOCK,) uint32
        Overwritten next.
    """
    high, low = (int(word) for word in _words(seed, step))
    one, two = FACTORS
    lower = BLOCK - 1
    # Within a block id ^ high takes each value of its lower half once, and so does that after
    # ``key ^= key >> 16``: these values times the first factor are the same for all blocks.
    products = np.arange(BLOCK, dtype=np.uint32) * np.uint32(one)
    keys, scratch = (np.empty(BLOCK, np.uint32) for _ in range(2))
    for first in range(start - start % BLOCK, stop, BLOCK):
        upper = ((first % WORD) ^ high) >> BITS
        np.add(products, np.uint32(((upper << BITS) * one) % WORD), out=keys)
        _xorshift_multiply(keys, scratch, 13, two)
        _xorshift_multiply(keys, scratch, 16)
        np.add(keys, np.uint32(low), out=keys)
        _xorshift_multiply(keys, scratch, 16, one)
        _xorshift_multiply(keys, scratch, 13, two)
        yield first, (high & lower) ^ upper, keys


def hash_keys(start, stop, seed, step):
    """Return the keys of classes `start` to `stop`, uniform in [0, 2**32), (n,) uint32."""
    found = np.empty(stop - start, np.uint32)
    places = np.arange(BLOCK)
    for first, flip, keys in _blocks(start, stop, seed, step):
        keys = (keys ^ (keys >> np.uint32(16)))[places ^ flip]
        a, b = max(start, first), min(stop, first + BLOCK)
        found[a - start : b - start] = keys[a - first : b - first]
    return found


def _mix(ids, words):
    """Return the keys of any ids for two words of `_words`, uint32."""
    high, low = words
    keys, (one, two) = ids.astype(np.uint32), FACTORS
    scratch = np.empty_like(keys)
    np.bitwise_xor(keys, high, out=keys)
    for add in (None, low):
        if add is not None:
            np.add(keys, add, out=keys)
        _xorshift_multiply(keys, scratch, 16, one)
        _xorshift_multiply(keys, scratch, 13, two)
        _xorshift_multiply(keys, scratch, 16)
    return keys


def _draw(start, stop, rate, seed, step):
    """Return the local ids of the sampled classes, sorted."""
    if rate > GROUPS_UP_TO:
        return _below(start, stop, round(rate * WORD), seed, step)[0]
    first, last = start // GROUP, -(-stop // GROUP)
    # Of `GROUP` independent draws more than k succeed with these probabilities.
    share = [math.comb(GROUP, k) * rate**k * (1.0 - rate) ** (GROUP - k) for k in range(GROUP + 1)]
    limits = [round(sum(share[k + 1 :]) * WORD) for k in range(GROUP)]
    groups, keys = _below(first, last, limits[0], seed, step)
    groups += first
    count = np.ones(len(groups), np.int64)
    for limit in limits[1:]:
        if not limit:
            break
        count += keys < limit
    words = tuple(word ^ np.uint32(other) for word, other in zip(_words(seed, step), OTHER))
    single = groups[count == 1]
    found = [single * GROUP + (_mix(single, words) >> np.uint32(32 - 4)).astype(np.int64)]
    several, count = groups[count > 1], count[count > 1]
    if len(several):  # those of its classes with the smallest keys
        ids = several[:, None] * GROUP + np.arange(GROUP)
        order = np.argsort(_mix(ids, words), axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(GROUP)[None], axis=1)
        found.append(ids[rank < count[:, None]])
    found = np.concatenate(found)
    found.sort(kind="stable")  # it merges two sorted arrays
    a, b = np.searchsorted(found, (start, stop))
    return found[a:b] - start


def _below(start, stop, limit, seed, step):
    """Return the ids, less `start`, whose key is below `limit`, sorted, and their keys."""
    if limit >= WORD:
        return np.arange(stop - start), None
    if not limit or stop <= start:
        return np.empty(0, np.int64), np.empty(0, np.uint32)
    nearly = np.uint32((limit - 1) | 0xFFFF)
    below, found, kept = np.empty(BLOCK, bool), [], []
    for first, flip, keys in _blocks(start, stop, seed, step):
        np.less_equal(keys, nearly, out=below)
        chosen = np.flatnonzero(below)
        keys = keys[chosen]
        keys ^= keys >> np.uint32(16)
        chosen, keys = chosen[keys < limit] ^ flip, keys[keys < limit]
        order = np.argsort(chosen.astype(np.uint16), kind="stable")  # by its digits: fast
        found.append(chosen[order] + first)
        kept.append(keys[order])
    found, kept = np.concatenate(found), np.concatenate(kept)
    a, b = np.searchsorted(found, (start, stop))
    return found[a:b] - start, kept[a:b]


def hash_sample(start, stop, rate, positives, seed, step):
    """Return the sampled classes of a shard, by their keys, and all positives.

    Every negative is sampled with the same probability, `rate`, independently of all others and
    of the number of ranks; the number of classes varies by about sqrt(rate (1 - rate) n).

    Parameters
    ----------
    start, stop : int
        The shard's classes (global ids).
    rate : float
        In (0, 1].
    positives : numpy.ndarray of int
        Sorted local ids (class - start), each once, that must be included.
    seed, step : int
        At least 0.

    Returns
    -------
    numpy.ndarray (m,) int64
        Sorted local ids.
    """
    return _union(_draw(start, stop, rate, seed, step), np.asarray(positives, np.int64))


class HashSampler:
    """`hash_sample` for one step after the other; the next one is drawn while this one runs.

    Parameters
    ----------
    start, stop : int
    rate : float
    seed : int
    then : callable, optional
        Called in the thread with the ids that it has drawn.

    Attributes
    ----------
    ahead : bool
        Whether the last draw was ready when it was asked for.
    """

    def __init__(self, start, stop, rate, seed, then=None):
        self._shard, self._then, self.ahead = (start, stop, rate, seed), then, False
        self._worth = stop - start >= THREAD_FROM and rate < 1.0
        self._thread, self._drawn = None, {}  # step -> ids, of the last step and the next

    def __call__(self, positives, step):
        """Return what `hash_sample` gives for the step."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        drawn = self._drawn.get(step)
        self.ahead = drawn is not None
        if not self.ahead:
            drawn = _draw(*self._shard, step)
        self._drawn = {each: ids for each, ids in self._drawn.items() if each == step + 1}
        if self._worth:
            self._drawn[step] = drawn  # a forward pass without training repeats the step
            if step + 1 not in self._drawn:
                self._thread = threading.Thread(target=self._prepare, args=(step + 1,), daemon=True)
                self._thread.start()
        return _union(drawn, np.asarray(positives, np.int64))

    def _prepare(self, step):
        self._drawn[step] = drawn = _draw(*self._shard, step)
        if self._then is not None:
            self._then(drawn)


def _union(chosen, positives):
    """Return the sorted union of two sorted arrays without repeats, the second one short."""
    at = np.searchsorted(chosen, positives)
    new = np.ones(len(positives), bool)
    inside = at < len(chosen)
    new[inside] = chosen[at[inside]] != positives[inside]
    return np.insert(chosen, at[new], positives[new])


def exact_sample(start, stop, rate, positives, seed, step):
    """Return max(1, int(rate n)) classes of a shard: all positives, then the smallest keys.

    More than the quota only if there are more positives. Parameters and result as of
    `hash_sample`. Shapes are nearly fixed, but the set depends on how the classes are sharded.
    """
    n = stop - start
    quota = min(n, max(1, int(rate * n)))
    positives = np.asarray(positives, np.int64)
    rest = quota - len(positives)
    if n == 0 or rest <= 0:
        return positives
    if quota == n:
        return np.arange(n)
    # 33 bits, so that no negative can tie with a positive; ties among keys go by class id.
    keys = hash_keys(start, stop, seed, step).astype(np.int64)
    keys[positives] = -1
    limit = np.partition(keys, quota - 1)[quota - 1]
    below = np.flatnonzero(keys < limit)
    ties = np.flatnonzero(keys == limit)[: quota - len(below)]
    return np.sort(np.concatenate([below, ties]))


def check_index(index, size, positives):
    """Return an explicit sample as sorted int64, or raise `InputError`.

    Parameters
    ----------
    index : array of int
        Local ids (class - start), each once, in any order.
    size : int
        Classes of the shard.
    positives : numpy.ndarray of int
        Local ids that must be included.
    """
    index = np.asarray(index)
    if index.size == 0:
        index = index.astype(np.int64)
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise InputError(
            f"index must be whole numbers of the shape (m,), got {index.dtype} {index.shape}"
        )
    index = np.sort(index.astype(np.int64))
    if len(index) and (index[0] < 0 or index[-1] >= size or (np.diff(index) == 0).any()):
        raise InputError(
            f"index must hold classes of this rank, 0 to {size - 1}, each once; got "
            f"{index[0]} to {index[-1]}, {len(index) - len(np.unique(index))} of them twice"
        )
    missing = np.setdiff1d(positives, index, assume_unique=True)
    if len(missing):
        raise InputError(
            f"index lacks {len(missing)} classes of this batch, among them {missing[0]}: every "
            "sample's own class has to take part"
        )
    return index
