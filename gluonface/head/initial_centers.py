"""The classes of each rank, and the class centres before training."""

import numpy as np

__all__ = ["initial_centers", "shard_range"]

BLOCK = 4096  # classes drawn from one seed; a change would change the centres of every seed
STD = 0.01


def shard_range(num_classes, rank, size):
    """Return (start, stop), the classes of a rank.

    Each rank owns C // k classes, and the first C % k ranks one more. With fewer classes than
    ranks the last ones own none.

    Examples
    --------
    >>> [shard_range(1003, rank, 4) for rank in range(4)]
    [(0, 251), (251, 502), (502, 753), (753, 1003)]
    """
    each, extra = divmod(num_classes, size)
    start = rank * each + min(rank, extra)
    return start, start + each + (rank < extra)


def initial_centers(start, stop, embedding_size, seed):
    """Return the initial centres of classes `start` to `stop`, normal with deviation 0.01.

    Every block of 4,096 classes has its own generator, seeded by (seed, block), so a class
    has the same initial centre on any number of ranks, and no two classes have the same.

    Parameters
    ----------
    start, stop : int
        Range of class ids.
    embedding_size : int
        D.
    seed : int
        At least 0.

    Returns
    -------
    numpy.ndarray (stop - start, D) float32
    """
    centers = np.empty((stop - start, embedding_size), dtype=np.float32)
    for block in range(start // BLOCK, -(-stop // BLOCK)):
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, block])))
        low, high = max(start, block * BLOCK), min(stop, (block + 1) * BLOCK)
        drawn = generator.standard_normal((high - block * BLOCK, embedding_size), dtype=np.float32)
        centers[low - start : high - start] = drawn[low - block * BLOCK :]
    centers *= STD
    return centers
