"""Slow twins of IJB: pooling template by template, pairs one by one, probes one by one.

Plain loops in float64 from the definitions; nothing here is shared with the package.
"""

import math


def unit(row):
    length = math.sqrt(math.fsum(x * x for x in row))
    return [x / length for x in row] if length else list(row)


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def pool(features, template, media, mirrored=None, quality=None, normalize=False):
    """Return {template: unit feature}: mean within media, sum over media, L2."""
    found = {}
    for number in sorted(set(template)):
        groups = {}
        for i, owner in enumerate(template):
            if owner != number:
                continue
            row = [float(x) for x in features[i]]
            if mirrored is not None:
                row = [x + float(y) for x, y in zip(row, mirrored[i])]
            if normalize:
                row = unit(row)
            if quality is not None:
                row = [x * float(quality[i]) for x in row]
            groups.setdefault(media[i], []).append(row)
        means = [
            [math.fsum(column) / len(rows) for column in zip(*rows)] for rows in groups.values()
        ]
        found[int(number)] = unit([math.fsum(column) for column in zip(*means)])
    return found


def strict_threshold(impostor, target):
    """Return the highest score that no more than target x n exceed."""
    falling = sorted(impostor, reverse=True)
    allowed = math.floor(target * len(falling) + 1e-9)
    return falling[allowed] if allowed < len(falling) else -math.inf


def search_gallery(probes, probe_ids, gallery, gallery_ids, ranks, fpirs):
    """Return ({rank: rate}, {fpir: (strict TPIR, reference TPIR)}) for a gallery of one each."""
    mated, others = [], []
    for probe, identity in zip(probes, probe_ids):
        scores = [dot(probe, entry) for entry in gallery]
        if identity in gallery_ids:
            mate = scores[list(gallery_ids).index(identity)]
            ahead = sum(s >= mate for s, g in zip(scores, gallery_ids) if g != identity)
            mated.append((mate, ahead))
        else:
            others.append(max(scores))
    rates = {rank: sum(ahead < rank for _, ahead in mated) / len(mated) for rank in ranks}
    tpir = {}
    for target in fpirs:
        pair = []
        falling = sorted(others, reverse=True)
        for threshold in (
            strict_threshold(others, target),
            falling[max(int(len(others) * target) - 1, 0)],
        ):
            pair.append(sum(a == 0 and mate > threshold for mate, a in mated) / len(mated))
        tpir[target] = tuple(pair)
    return rates, tpir
