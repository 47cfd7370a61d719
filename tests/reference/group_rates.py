"""Slow twin of the rates by group: plain loops in float64, from the definitions."""

import math


def threshold(score, issame, fmr):
    """Return the highest score that no more than fmr x different pairs exceed, and -inf for all.

    Accepted above it: the threshold is one of the different pairs' scores.
    """
    different = sorted((float(s) for s, same in zip(score, issame) if not same), reverse=True)
    allowed = math.floor(fmr * len(different) + 1e-9)
    return -math.inf if allowed >= len(different) else different[allowed]


def wilson(count, total, z=1.959963984540054):
    """Return the roots of |p - count / total| = z sqrt(p (1 - p) / total), by bisection."""
    share = count / total

    def bound(low, high, inside):
        for _ in range(200):
            middle = (low + high) / 2
            far = abs(middle - share) > z * math.sqrt(middle * (1 - middle) / total)
            if far == inside:
                high = middle
            else:
                low = middle
        return (low + high) / 2

    low = 0.0 if count == 0 else bound(0.0, share, False)
    high = 1.0 if count == total else bound(share, 1.0, True)
    return low, high


def rates(score, issame, groups, fmr):
    """Return by group: same, different, accuracy, wrong, missed, FMR (or None), FNMR (or None)."""
    limit = threshold(score, issame, fmr)
    found = {}
    for group in sorted(set(groups)):
        same = different = wrong = missed = 0
        for s, truth, own in zip(score, issame, groups):
            if own != group:
                continue
            accepted = float(s) > limit
            if truth:
                same += 1
                missed += not accepted
            else:
                different += 1
                wrong += accepted
        found[group] = (
            same,
            different,
            (same - missed + different - wrong) / (same + different),
            wrong,
            missed,
            wrong / different if different and different >= 1 / fmr - 1e-6 else None,
            missed / same if same else None,
        )
    return limit, found


def largest_ratio(values):
    """Return (largest group, smallest group, ratio) of {group: rate}, None with fewer than two."""
    known = {group: value for group, value in values.items() if value is not None}
    if len(known) < 2:
        return None
    high, low = max(known.values()), min(known.values())
    return high / low if low else None
