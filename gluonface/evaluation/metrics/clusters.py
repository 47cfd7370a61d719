"""How well clusters agree with people: pairs, BCubed and mutual information. Pure NumPy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError

__all__ = ["ClusterMeasures", "cluster_measures"]


@dataclasses.dataclass(frozen=True)
class ClusterMeasures:
    """Agreement of clusters with people.

    Attributes
    ----------
    pair_precision, pair_recall, pair_f : float
        Of the pairs of images that share a cluster the share that is one person, of the pairs of
        one person the share that shares a cluster, and the harmonic mean of both. Large clusters
        count by the square of their size. A share of no pairs is 1.
    bcubed_precision, bcubed_recall, bcubed_f : float
        The same for each image: the share of its cluster that is its person, of its person that
        is in its cluster. The mean over all images.
    nmi : float
        Mutual information over the mean of both entropies. 1 if there is one person in one
        cluster.
    images, clusters, people : int
    largest : int
        Images of the largest cluster.

    References
    ----------
    Amigo et al., "A comparison of extrinsic clustering evaluation metrics based on formal
    constraints", Information Retrieval 12 (2009).
    """

    pair_precision: float
    pair_recall: float
    pair_f: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f: float
    nmi: float
    images: int
    clusters: int
    people: int
    largest: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by their names."""
        return dataclasses.asdict(self)


def cluster_measures(person: npt.ArrayLike, cluster: npt.ArrayLike) -> ClusterMeasures:
    """Compare clusters with people.

    Parameters
    ----------
    person, cluster : array_like, shape (n,)
        Of each image: names or numbers.

    Returns
    -------
    ClusterMeasures

    Raises
    ------
    InputError
        The lengths differ, or there is no image.
    """
    people, clusters = np.asarray(person), np.asarray(cluster)
    if people.ndim != 1 or people.shape != clusters.shape or not len(people):
        raise InputError(
            f"person has shape {people.shape} and cluster {clusters.shape}; expected one of each "
            "for every image"
        )
    a, people_sizes = np.unique(people, return_inverse=True, return_counts=True)[1:]
    b, cluster_sizes = np.unique(clusters, return_inverse=True, return_counts=True)[1:]
    cells, both = np.unique(
        a.astype(np.int64) * len(cluster_sizes) + b, return_counts=True
    )  # images of a person in a cluster
    of_person = people_sizes[cells // len(cluster_sizes)]
    of_cluster = cluster_sizes[cells % len(cluster_sizes)]
    n = len(people)
    pairs = [_pairs(sizes) for sizes in (both, cluster_sizes, people_sizes)]
    pair_precision = pairs[0] / pairs[1] if pairs[1] else 1.0
    pair_recall = pairs[0] / pairs[2] if pairs[2] else 1.0
    precision = float((both * (both / of_cluster)).sum() / n)
    recall = float((both * (both / of_person)).sum() / n)
    entropies = [-(s / n * np.log(s / n)).sum() for s in (people_sizes, cluster_sizes)]
    mutual = (both / n * np.log(both * (n / (of_person * of_cluster.astype(float))))).sum()
    mean = sum(entropies) / 2
    return ClusterMeasures(
        pair_precision=pair_precision,
        pair_recall=pair_recall,
        pair_f=_harmonic(pair_precision, pair_recall),
        bcubed_precision=precision,
        bcubed_recall=recall,
        bcubed_f=_harmonic(precision, recall),
        nmi=float(min(max(mutual / mean, 0.0), 1.0)) if mean > 0 else 1.0,
        images=n,
        clusters=len(cluster_sizes),
        people=len(people_sizes),
        largest=int(np.max(cluster_sizes)),
    )


def _pairs(sizes):
    sizes = sizes.astype(object)  # whole numbers of any size
    return int((sizes * (sizes - 1)).sum()) // 2


def _harmonic(a, b):
    return 2 * a * b / (a + b) if a + b else 0.0
