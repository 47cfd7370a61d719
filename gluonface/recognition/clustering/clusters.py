"""Which faces belong together: the exact graph of near faces, and Chinese whispers on it.

Faces whose cosine is above a threshold are neighbours. Each face begins as a cluster of its own and
takes, again and again, the label that weighs most among its neighbours. One false link between two
people is outvoted; with connected components it would join them.

A neighbour weighs its cosine, times 1 + the number of common neighbours, times log(1 + the number
of its neighbours). With the cosine alone two faces that are each other's nearest keep a label of
their own although a third one joins them to the rest of their person.
"""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from ...errors import InputError
from ...evaluation.scores.feature_matrix import multiply, unit_matrix
from ..calibration import Calibration
from ..nearest import ROWS, nearest
from ..trials import supports

__all__ = [
    "Clustering",
    "NeighbourGraph",
    "cluster_faces",
    "cluster_threshold",
    "link_weights",
    "near_graph",
    "whispers",
]

NEIGHBOURS = 64  # of a face, at most: the nearest
ROUNDS = 20
FACES = 2048  # whose common neighbours are counted together
QUERIES = 4096  # faces whose neighbours are kept together, so that interrupted work goes on


@dataclasses.dataclass(frozen=True, eq=False)
class NeighbourGraph:
    """The neighbours of each face, in compressed rows.

    Attributes
    ----------
    starts : numpy.ndarray, shape (n + 1,), int64
        Face i has the neighbours ``starts[i]`` to ``starts[i + 1]``.
    neighbours : numpy.ndarray, shape (m,), int32
        Ascending for each face. Two faces are each other's neighbours.
    cosines : numpy.ndarray, shape (m,), float32
    """

    starts: np.ndarray
    neighbours: np.ndarray
    cosines: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Clustering:
    """Clusters of faces.

    Attributes
    ----------
    label : numpy.ndarray, shape (n,), int64
        The cluster of each face: 1 is the largest; of two of one size that with the earlier face
        comes first. 0: not grouped, as it was set aside or its cluster is too small.
    score : numpy.ndarray, shape (n,), float64
        Cosine of each face to the template of its cluster; NaN where there is none.
    threshold : float
        Faces above this cosine were neighbours.
    """

    label: np.ndarray
    score: np.ndarray
    threshold: float

    @property
    def sizes(self) -> np.ndarray:
        """Faces of each cluster, from cluster 1 on."""
        return np.bincount(self.label)[1:]


def near_graph(
    units: np.ndarray,
    threshold: float,
    k: int = NEIGHBOURS,
    kept: typing.MutableMapping[str, typing.Any] | None = None,
    rows: int = ROWS,
    product: typing.Callable = multiply,
    progress: typing.Callable[[int], typing.Any] | None = None,
) -> NeighbourGraph:
    """Return the graph of faces whose cosine is above a threshold.

    Parameters
    ----------
    units : numpy.ndarray, shape (n, D), float32
        Of unit length.
    threshold : float
    k : int, default 64
        Neighbours of a face at most; two faces are neighbours if one is among the k nearest of
        the other.
    kept : dict-like, optional
        Results of blocks of faces by their first face, so that interrupted work goes on.
    rows, product
        As for `nearest`.
    progress : function, optional
        Called with the number of faces that are done.

    Returns
    -------
    NeighbourGraph
    """
    if not -1 <= threshold < 1:
        raise InputError(f"threshold is {threshold!r}; expected a cosine, at least -1, below 1")
    one, other, cosine = [], [], []
    for start in range(0, len(units), QUERIES):
        stop = min(start + QUERIES, len(units))
        block = None if kept is None else kept.get(str(start))
        if block is None:
            cosines, found = nearest(units[start:stop], units, k + 1, threshold, rows, product)
            own = found == np.arange(start, stop)[:, None]
            own[~own.any(axis=1), -1] = True  # among many equal ones a face may miss itself
            query, place = np.nonzero((found >= 0) & ~own)
            block = start + query, found[query, place], cosines[query, place]
            if kept is not None:
                kept[str(start)] = block
        one.append(block[0].astype(np.int32))
        other.append(block[1].astype(np.int32))
        cosine.append(block[2].astype(np.float32))
        if progress is not None:
            progress(stop - start)
    return _both_ways(len(units), *(np.concatenate(a or [[]]) for a in (one, other, cosine)))


def _both_ways(count, one, other, cosine):
    """Return the graph in which every edge runs both ways, once."""
    rows = np.concatenate([one, other]).astype(np.int64)
    columns = np.concatenate([other, one]).astype(np.int64)
    weights = np.concatenate([cosine, cosine])
    order = np.argsort(rows * max(count, 1) + columns, kind="stable")
    rows, columns, weights = rows[order], columns[order], weights[order]
    first = np.ones(len(rows), bool)
    first[1:] = (np.diff(rows) != 0) | (np.diff(columns) != 0)
    starts = np.searchsorted(rows[first], np.arange(count + 1))
    return NeighbourGraph(starts, columns[first].astype(np.int32), weights[first])


def link_weights(graph: NeighbourGraph) -> np.ndarray:
    """Return how much each neighbour of `graph` weighs for its face, (m,) float64."""
    import scipy.sparse  # scikit-learn brings it

    count = len(graph.starts) - 1
    ones = np.ones(len(graph.neighbours), np.int32)
    links = scipy.sparse.csr_matrix((ones, graph.neighbours, graph.starts), shape=(count, count))
    common = np.zeros(len(ones))
    for start in range(0, count, FACES):
        stop = min(start + FACES, count)
        some = links[start:stop]
        shared = (some @ links).multiply(some).tocsr()
        edges = slice(graph.starts[start], graph.starts[stop])
        row = np.repeat(np.arange(stop - start), np.diff(graph.starts[start : stop + 1]))
        if len(row):
            common[edges] = np.asarray(shared[row, graph.neighbours[edges]]).reshape(-1)
    degrees = np.diff(graph.starts)
    return graph.cosines * (1 + common) * np.log1p(degrees[graph.neighbours])


def whispers(graph: NeighbourGraph, seed: int = 0, rounds: int = ROUNDS) -> np.ndarray:
    """Cluster a graph by Chinese whispers.

    Parameters
    ----------
    graph : NeighbourGraph
    seed : int, default 0
        Of the order in which faces listen, another in each round.
    rounds : int, default 20
        At most; it ends when a round changes nothing.

    Returns
    -------
    numpy.ndarray, shape (n,), int64
        A label for each face: the number of one of the faces.

    References
    ----------
    Biemann, "Chinese whispers: an efficient graph clustering algorithm and its application to
    natural language processing problems", TextGraphs 2006.
    """
    count = len(graph.starts) - 1
    rng = np.random.default_rng(seed)
    labels = list(range(count))
    starts, weights = graph.starts.tolist(), link_weights(graph)
    # A face whose neighbours have not changed since it listened would hear the same again.
    waiting = bytearray(b"\1") * count
    for _ in range(rounds):
        changed = False
        for face in rng.permutation(count).tolist():
            if not waiting[face]:
                continue
            waiting[face] = 0
            low, high = starts[face], starts[face + 1]
            near = graph.neighbours[low:high].tolist()
            heard: dict[int, float] = {}
            for neighbour, weight in zip(near, weights[low:high].tolist()):
                label = labels[neighbour]
                heard[label] = heard.get(label, 0.0) + weight
            if not heard:
                continue
            best = min(heard, key=lambda label: (-heard[label], label))
            if best != labels[face]:
                labels[face] = best
                changed = True
                for neighbour in near:
                    waiting[neighbour] = 1
        if not changed:
            break
    return np.array(labels, np.int64)


def cluster_faces(
    outputs: np.ndarray,
    threshold: float,
    smallest: int = 2,
    seed: int = 0,
    aside: np.ndarray | None = None,
    **options: typing.Any,
) -> Clustering:
    """Cluster faces by who they are.

    Parameters
    ----------
    outputs : numpy.ndarray, shape (n, D)
        What the network gives; any length. Zero vectors are not grouped.
    threshold : float
        Cosine above which two faces are probably one person, such as `cluster_threshold` gives.
    smallest : int, default 2
        Clusters with fewer faces are not grouped; 1 keeps single faces.
    seed : int, default 0
        As for `whispers`.
    aside : numpy.ndarray of bool, shape (n,), optional
        Faces that take no part, as their quality is too low.
    **options
        As for `near_graph`.

    Returns
    -------
    Clustering
    """
    if isinstance(smallest, bool) or not isinstance(smallest, (int, np.integer)) or smallest < 1:
        raise InputError(f"smallest is {smallest!r}; expected a whole number, 1 or more")
    outputs = np.asarray(outputs)
    units, _ = unit_matrix(outputs, "the faces")
    takes_part = units.any(axis=1)
    if aside is not None:
        takes_part &= ~aside
    members = np.flatnonzero(takes_part)
    graph = near_graph(units[members], threshold, **options)
    found = whispers(graph, seed)
    label = np.zeros(len(outputs), np.int64)
    label[members] = _numbered(found, smallest)
    return Clustering(label, _scores(outputs, units, label), float(threshold))


def _numbered(labels, smallest):
    """Return clusters from 1 on, the largest first; 0 for those that are too small."""
    _, first, place, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -sizes))
    order = order[sizes[order] >= smallest]
    number = np.zeros(len(sizes), np.int64)
    number[order] = np.arange(1, len(order) + 1)
    return number[place]


def _scores(outputs, units, label):
    """Return the cosine of each face to the sum of the outputs of its cluster."""
    score = np.full(len(label), np.nan)
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], np.arange(1, label.max(initial=0) + 2))
    for start, stop in zip(starts, starts[1:]):
        own = order[start:stop]
        template = outputs[own].astype(np.float64).sum(axis=0)
        length = np.linalg.norm(template)
        score[own] = units[own].astype(np.float64) @ (template / length if length else template)
    return score


def cluster_threshold(calibration: Calibration, faces: int) -> tuple[float, float, bool]:
    """Return the threshold of a calibration for clusters of so many faces.

    About one false link in ten faces is wanted: a false match rate of 1 / (10 faces).

    Parameters
    ----------
    calibration : Calibration
    faces : int

    Returns
    -------
    threshold, fmr : float
    enough : bool
        False: the calibration supports no such rate, these are its strictest.
    """
    wanted = 1 / (10 * max(faces, 1))
    if supports(wanted, calibration.set["trials"]):
        return (*calibration.threshold(wanted), True)
    points = [(point.fmr_target, point.threshold) for point in calibration.points]
    fmr, threshold = min((*calibration.thresholds, *points))
    return threshold, fmr, False
