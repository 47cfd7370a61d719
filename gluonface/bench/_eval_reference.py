"""The evaluation rules in the form the public programs give them, for timing side by side.

Same results, other loops: every threshold a pass over all pairs, every template a scan of all
images, every pair its own two rows of float64. Folds and the ROC are scikit-learn's, as there.
"""

import numpy as np
from sklearn.metrics import roc_curve
from sklearn.model_selection import KFold

__all__ = ["pool", "ten_folds", "verify_templates"]


def ten_folds(a, b, issame, folds=10):
    """Return accuracy and val@1e-3, one pass over the pairs for each fold and threshold."""
    a, b = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (a, b))
    distance = np.sum(np.square(a - b), axis=1)
    accuracies, vals = np.zeros(folds), np.zeros(folds)
    coarse, fine = np.arange(0, 4, 0.01), np.arange(0, 4, 0.001)
    for fold, (train, test) in enumerate(KFold(folds).split(distance)):
        shares = [_rates(t, distance[train], issame[train])[2] for t in coarse]
        for threshold in coarse:  # the averaged curve of the public program
            _rates(threshold, distance[test], issame[test])
        best = coarse[np.argmax(shares)]
        accuracies[fold] = _rates(best, distance[test], issame[test])[2]
        far = np.array([_accepts(t, distance[train], issame[train])[1] for t in fine])
        threshold = 0.0
        if far.max() >= 1e-3:
            last = np.flatnonzero(far <= 1e-3)[-1]
            share = (1e-3 - far[last]) / (far[last + 1] - far[last])
            threshold = fine[last] + share * (fine[last + 1] - fine[last])
        vals[fold] = _accepts(threshold, distance[test], issame[test])[0]
    return accuracies.mean(), vals.mean()


def _rates(threshold, distance, issame):
    """Return TPR, FPR and accuracy at a threshold."""
    accepted = np.less(distance, threshold)
    tp = np.sum(np.logical_and(accepted, issame))
    fp = np.sum(np.logical_and(accepted, np.logical_not(issame)))
    tn = np.sum(np.logical_and(np.logical_not(accepted), np.logical_not(issame)))
    fn = np.sum(np.logical_and(np.logical_not(accepted), issame))
    return tp / (tp + fn), fp / (fp + tn), (tp + tn) / len(distance)


def _accepts(threshold, distance, issame):
    """Return the shares of accepted same and different pairs."""
    accepted = np.less(distance, threshold)
    same = np.sum(np.logical_and(accepted, issame))
    different = np.sum(np.logical_and(accepted, np.logical_not(issame)))
    return same / np.sum(issame), different / np.sum(np.logical_not(issame))


def pool(features, template, media, quality):
    """Return unit templates, searching all images for each of them."""
    features = features * quality[:, None].astype(features.dtype)
    found = np.unique(template)
    out = np.zeros((len(found), features.shape[1]))
    for row, number in enumerate(found):
        (own,) = np.where(template == number)
        means = [
            np.mean(features[own[media[own] == medium]], axis=0) for medium in np.unique(media[own])
        ]
        out[row] = np.sum(means, axis=0)
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def verify_templates(ids, units, first, second, label):
    """Return the reference TAR by FAR: rows of each pair fetched, all scores sorted."""
    place = np.zeros(ids.max() + 1, int)
    place[ids] = np.arange(len(ids))
    score = np.zeros(len(first))
    for start in range(0, len(first), 100_000):
        chunk = slice(start, start + 100_000)
        score[chunk] = np.sum(units[place[first[chunk]]] * units[place[second[chunk]]], axis=-1)
    fpr, tpr, _ = roc_curve(label, score)
    fpr, tpr = np.flipud(fpr), np.flipud(tpr)
    fars = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    return {far: float(tpr[np.argmin(np.abs(fpr - far))]) for far in fars}
