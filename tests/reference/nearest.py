"""The slow twin of the exact search, in float64."""

import numpy as np


def nearest(queries, matrix, k, above=-np.inf):
    """Return (cosines, rows) of each query: the highest first, of equal ones the lower row."""
    found = []
    for query in np.asarray(queries, np.float64):
        scores = [(-float(np.sum(query * row)), number) for number, row in enumerate(matrix)]
        found.append([(-s, n) for s, n in sorted(scores) if -s > above][:k])
    return found
