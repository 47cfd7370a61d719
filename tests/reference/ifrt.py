"""Slow twin of all-to-all verification: each unordered pair in turn, group by group."""

from reference.ijb import dot, unit
from reference.verification import tar_reference, tar_strict


def evaluate(features, identity, group, fars):
    """Return {group or ALL: (same, different, {far: (strict TAR, nearest TAR)})}."""
    rows = [unit([float(x) for x in row]) for row in features]
    pairs = [
        (
            dot(rows[i], rows[j]),
            identity[i] == identity[j],
            group[i] if group[i] == group[j] else None,
        )
        for i in range(len(rows))
        for j in range(i + 1, len(rows))
    ]
    found = {}
    for name in ("ALL", *sorted(set(group))):
        mine = [(s, same) for s, same, where in pairs if name in ("ALL", where)]
        score, same = zip(*mine)
        rates = {
            far: (tar_strict(score, same, far)[0], tar_reference(score, same, far)[0])
            for far in fars
        }
        found[name] = (sum(same), len(same) - sum(same), rates)
    return found
