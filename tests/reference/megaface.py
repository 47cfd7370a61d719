"""Slow twin of MegaFace: each ordered pair of mates against each distractor, in plain loops."""

from reference.ijb import dot, strict_threshold, unit


def mates(probes, identities):
    """Return the ordered pairs (enrolled, query) of one identity."""
    n = len(probes)
    return [(a, b) for a in range(n) for b in range(n) if a != b and identities[a] == identities[b]]


def evaluate(probes, identities, distractors, ranks, fars, noisy=(), removed="drop", crossed=False):
    """Return ({rank: rate}, {far: (strict TAR, false accepts)})."""
    probes = [unit(map_row(p)) for p in probes]
    kept = []
    for number, row in enumerate(distractors):
        if number not in noisy:
            kept.append(unit(map_row(row)))
        elif removed == "zero":
            kept.append([0.0] * len(row))
    scores = [[dot(p, d) for d in kept] for p in probes]
    genuine = [(b, dot(probes[a], probes[b])) for a, b in mates(probes, identities)]
    rates = {}
    for rank in ranks:
        hits = 0
        for b, s in genuine:
            better = sorted(scores[b], reverse=True)
            hits += rank > len(better) or s > better[rank - 1]
        rates[rank] = hits / len(genuine)
    impostor = [s for row in scores for s in row]
    if crossed:
        for a, one in enumerate(identities):
            for b, other in enumerate(identities[:a]):
                if one != other:
                    impostor.append(dot(probes[a], probes[b]))
    tar = {}
    for far in fars:
        threshold = strict_threshold(impostor, far)
        tar[far] = (
            sum(s > threshold for _, s in genuine) / len(genuine),
            sum(s > threshold for s in impostor),
        )
    return rates, tar


def map_row(row):
    return [float(x) for x in row]
