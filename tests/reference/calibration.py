"""Likelihood ratios and exact intervals the slow way: plain loops in float64."""

import math

import numpy as np


def logistic(score, issame):
    """Slope and offset by gradient steps of coordinate-wise bisection on the gradient's signs."""
    from scipy.optimize import root

    score, issame = np.asarray(score, float), np.asarray(issame, bool)
    same, different = issame.sum(), (~issame).sum()

    def gradient(place):
        total = np.zeros(2)
        for s, is_same in zip(score, issame):
            target = (same + 1) / (same + 2) if is_same else 1 / (different + 2)
            weight = 0.5 / same if is_same else 0.5 / different
            p = 1 / (1 + math.exp(-(place[0] * s + place[1])))
            total += weight * (p - target) * np.array([s, 1])
        return total

    return root(gradient, [1.0, 0.0], tol=1e-13).x


def pool_adjacent(score, issame, added):
    """(knots, same, different) of the isotonic fit, by a stack of blocks."""
    counts = {}
    for s, is_same in zip(score, issame):
        pair = counts.setdefault(float(s), [0, 0])
        pair[0 if is_same else 1] += 1
    rows = [[s, *counts[s]] for s in sorted(counts)]
    if added:
        rows = [[-math.inf, added, added], *rows, [math.inf, added, added]]
    stack = []
    for row in rows:
        stack.append(list(row))
        # not rising: the block before has a share of same pairs that is as high
        while len(stack) > 1 and (
            stack[-2][1] * (stack[-1][1] + stack[-1][2])
            >= stack[-1][1] * (stack[-2][1] + stack[-2][2])
        ):
            _, same, different = stack.pop()
            stack[-1][1] += same
            stack[-1][2] += different
    return stack


def steps(score, issame):
    """(knots, LLR) of the step map."""
    blocks = pool_adjacent(score, issame, 1)
    prior = math.log(sum(b[1] for b in blocks) / sum(b[2] for b in blocks))
    return [b[0] for b in blocks], [math.log(b[1] / b[2]) - prior for b in blocks]


def cllr(same, different):
    one = [math.log2(1 + math.exp(-llr)) for llr in same]
    other = [math.log2(1 + math.exp(llr)) for llr in different]
    return (sum(one) / len(one) + sum(other) / len(other)) / 2


def min_cllr(score, issame):
    blocks = pool_adjacent(score, issame, 0)
    same, different = sum(b[1] for b in blocks), sum(b[2] for b in blocks)
    cost = 0.0
    for _, s, d in blocks:
        if s and d:
            llr = math.log(s / d) - math.log(same / different)
            cost += s / same * math.log2(1 + math.exp(-llr))
            cost += d / different * math.log2(1 + math.exp(llr))
    return cost / 2


def binomial_interval(count, total, level=0.95):
    """Clopper-Pearson by bisection of the binomial's tails."""

    def tail(p, low, high):
        return sum(math.comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(low, high))

    def bisect(function):
        a, b = 0.0, 1.0
        for _ in range(200):
            middle = (a + b) / 2
            a, b = (middle, b) if function(middle) else (a, middle)
        return a

    alpha = (1 - level) / 2
    low = 0.0 if not count else bisect(lambda p: tail(p, count, total + 1) < alpha)
    high = 1.0 if count == total else bisect(lambda p: tail(p, 0, count + 1) > alpha)
    return low, high
