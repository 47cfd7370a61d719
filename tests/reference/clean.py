"""Slow twin of `gluonface.data.tools.clean`: one image after the other, in Python's own numbers."""

import math


def _angle(a, b):
    dot = math.fsum(x * y for x, y in zip(a, b))
    norms = math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))
    return math.degrees(math.acos(max(-1.0, min(1.0, dot / norms))))


def find_mislabelled(embeddings, labels, centers, limit, min_images):
    """Return lists: angles, nearest sub-centres, dominant sub-centres, reasons (0, 1 or 2)."""
    each = [[_angle(e, c) for c in centers[y]] for e, y in zip(embeddings, labels)]
    nearest = [angles.index(min(angles)) for angles in each]
    dominant = []
    for label in range(len(centers)):
        votes = [near for near, y in zip(nearest, labels) if y == label]
        counts = [votes.count(k) for k in range(len(centers[label]))]
        dominant.append(counts.index(max(counts)))
    angle = [angles[dominant[y]] for angles, y in zip(each, labels)]
    reason = [1 if one > limit else 0 for one in angle]
    for label in range(len(centers)):
        left = [i for i, y in enumerate(labels) if y == label and reason[i] == 0]
        if len(left) < min_images:
            for i in left:
                reason[i] = 2
    return angle, nearest, dominant, reason


def class_means(embeddings, labels, classes):
    """Return the mean of the unit embeddings of each class, at unit length."""
    means = []
    for label in range(classes):
        total = [0.0] * len(embeddings[0])
        for e, y in zip(embeddings, labels):
            if y == label:
                norm = math.sqrt(math.fsum(v * v for v in e))
                total = [t + v / norm for t, v in zip(total, e)]
        norm = math.sqrt(math.fsum(v * v for v in total)) or 1.0
        means.append([v / norm for v in total])
    return means
