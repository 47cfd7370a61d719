"""Slow twin of ranked search: sort the gallery for each probe, others before mates in a tie."""

from reference.ijb import dot, unit


def search(probes, probe_ids, gallery, gallery_ids, ranks):
    """Return ({rank: rate}, mean average precision) over mated probes."""
    probes = [unit([float(x) for x in row]) for row in probes]
    gallery = [unit([float(x) for x in row]) for row in gallery]
    first, precisions = [], []
    for probe, identity in zip(probes, probe_ids):
        if identity not in list(gallery_ids):
            continue
        entries = [(-dot(probe, g), int(i == identity)) for g, i in zip(gallery, gallery_ids)]
        order = [mate for _, mate in sorted(entries)]  # False sorts before True at equal scores
        places = [place for place, mate in enumerate(order, 1) if mate]
        first.append(places[0])
        precisions.append(sum(n / place for n, place in enumerate(places, 1)) / len(places))
    rates = {rank: sum(place <= rank for place in first) / len(first) for rank in ranks}
    return rates, sum(precisions) / len(precisions)
