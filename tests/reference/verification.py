"""Slow twins of the verification metrics: plain loops over pairs and thresholds, no NumPy tricks.

Written from the definitions, threshold by threshold; nothing here is shared with the package.
"""

import math


def unit(row):
    length = math.sqrt(math.fsum(float(x) ** 2 for x in row))
    return [float(x) / length for x in row] if length else [0.0 for _ in row]


def compare(a, b):
    """Return the squared distance and the dot product of one pair."""
    a, b = unit(a), unit(b)
    return (
        math.fsum((x - y) ** 2 for x, y in zip(a, b)),
        math.fsum(x * y for x, y in zip(a, b)),
    )


def fold_of_pair(n, folds):
    """Return the fold of each pair: contiguous, the first n % folds one longer."""
    result = []
    for fold in range(folds):
        result += [fold] * (n // folds + (1 if fold < n % folds else 0))
    return result


def mean_std(values):
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))


def accuracy(distance, issame, folds, thresholds):
    """Return mean, std, and the accuracy and the threshold of each fold."""
    fold = fold_of_pair(len(distance), folds)
    accuracies, chosen = [], []
    for k in range(folds):
        best, best_right = None, -1
        for threshold in thresholds:
            right = sum(
                (d < threshold) == bool(s) for d, s, j in zip(distance, issame, fold) if j != k
            )
            if right > best_right:  # the first of equals stays
                best, best_right = threshold, right
        held_out = [(d, s) for d, s, j in zip(distance, issame, fold) if j == k]
        accuracies.append(sum((d < best) == bool(s) for d, s in held_out) / len(held_out))
        chosen.append(best)
    return (*mean_std(accuracies), accuracies, chosen)


def rates(distance, issame, threshold):
    """Return the shares of accepted same and different pairs."""
    same = [d < threshold for d, s in zip(distance, issame) if s]
    different = [d < threshold for d, s in zip(distance, issame) if not s]
    return sum(same) / len(same), sum(different) / len(different)


def val_at_far(distance, issame, target, folds, thresholds):
    """Return val, its std, far, and the threshold of each fold."""
    fold = fold_of_pair(len(distance), folds)
    vals, fars, chosen = [], [], []
    for k in range(folds):
        training = [(d, s) for d, s, j in zip(distance, issame, fold) if j != k]
        curve = [rates(*zip(*training), threshold)[1] for threshold in thresholds]
        threshold = 0.0
        if curve[-1] >= target:
            i = max(j for j, far in enumerate(curve) if far <= target)
            threshold = thresholds[i]
            if i + 1 < len(curve):
                slope = (thresholds[i + 1] - thresholds[i]) / (curve[i + 1] - curve[i])
                threshold += (target - curve[i]) * slope
        held_out = [(d, s) for d, s, j in zip(distance, issame, fold) if j == k]
        val, far = rates(*zip(*held_out), threshold)
        vals.append(val)
        fars.append(far)
        chosen.append(threshold)
    return (*mean_std(vals), mean_std(fars)[0], chosen)


def tar_strict(score, issame, target):
    """Try every threshold: the highest TAR whose FAR does not exceed the target.

    Returns TAR, FAR and the number of false accepts. Accepted is what lies above the threshold.
    """
    same = [x for x, s in zip(score, issame) if s]
    different = [x for x, s in zip(score, issame) if not s]
    if target >= 1:
        return 1.0, 1.0, len(different)
    best = None
    # Only the different pairs' own scores bound the FAR: just above each of them is tried.
    for threshold in different:
        wrong = sum(x > threshold for x in different)
        if wrong / len(different) <= target + 1e-12:
            tar = sum(x > threshold for x in same) / len(same)
            if best is None or tar > best[0] or (tar == best[0] and wrong > best[2]):
                best = (tar, wrong / len(different), wrong)
    return best


def roc_points(score, issame):
    """Return the counts (false accepts, true accepts) after each distinct score, from (0, 0)."""
    points = [(0, 0)]
    for threshold in sorted(set(score), reverse=True):
        points.append(
            (
                sum(x >= threshold and not s for x, s in zip(score, issame)),
                sum(x >= threshold and bool(s) for x, s in zip(score, issame)),
            )
        )
    return points


def drop_straight(points):
    """Leave out the inner points of straight, evenly spaced runs; (0, 0) is put in front."""
    inner = points[1:]
    if len(inner) <= 2:
        return points
    kept = [inner[0]]
    for before, here, after in zip(inner, inner[1:], inner[2:]):
        if any(after[i] - 2 * here[i] + before[i] != 0 for i in (0, 1)):
            kept.append(here)
    return [(0, 0), *kept, inner[-1]]


def tar_reference(score, issame, target):
    """Return (TAR, FAR) of the nearest ROC point; of equally near ones the highest."""
    points = drop_straight(roc_points(score, issame))
    different, same = points[-1]
    best = None
    for wrong, right in points:
        gap = abs(wrong / different - target)
        if best is None or gap <= best[0]:
            best = (gap, right / same, wrong / different)
    return best[1:]


def auc(score, issame):
    """Count the comparisons of each same with each different pair that go the right way."""
    same = [x for x, s in zip(score, issame) if s]
    different = [x for x, s in zip(score, issame) if not s]
    wins = sum((a > b) + 0.5 * (a == b) for a in same for b in different)
    return wins / (len(same) * len(different))


def eer(score, issame):
    """Walk the ROC's straight pieces and solve for misses = false accepts on each."""
    points = roc_points(score, issame)
    different, same = points[-1]
    for (wrong0, right0), (wrong1, right1) in zip(points, points[1:]):
        far0, far1 = wrong0 / different, wrong1 / different
        miss0, miss1 = 1 - right0 / same, 1 - right1 / same
        if miss1 <= far1:
            # far0 + t (far1 - far0) = miss0 + t (miss1 - miss0)
            t = (miss0 - far0) / ((far1 - far0) - (miss1 - miss0))
            return far0 + t * (far1 - far0)
    raise AssertionError("the ROC ends at far 1, miss 0")
