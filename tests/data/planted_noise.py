"""A set of embeddings whose mislabelled images are known."""

import types

import numpy as np


def plant(people=6, clean_each=9, hard_each=3, noise_each=2, size=64, k=3, seed=0):
    """Return a set whose noise is known.

    Each person has a face (the clean images), one look of its own about 50 degrees away (the hard
    images, a sub-cluster), and images of other people. The dominant sub-centre is at a place that
    differs from class to class.
    """
    random = np.random.RandomState(seed)
    # Orthogonal directions: all that is planted is 90 degrees from the face of another person.
    axes = np.linalg.qr(random.randn(size, size))[0].T
    faces, looks = axes[:people], axes[people : 2 * people]
    strangers = axes[2 * people : 2 * people + 4]
    turned = np.cos(np.radians(50)) * faces + np.sin(np.radians(50)) * looks
    rows, labels, truth = [], [], []
    for p in range(people):
        kinds = [0] * clean_each + [1] * hard_each + [2] * noise_each
        for number, kind in enumerate(random.permutation(kinds)):
            stranger = strangers[number % 4] if number % 2 else faces[(p + 1) % people]
            middle = (faces[p], turned[p], stranger)[kind]
            rows.append((middle + 0.01 * random.randn(size)) * random.uniform(0.5, 30))
            labels.append(p)
            truth.append(kind)
    places = np.arange(people) % k
    centers = np.tile(strangers[: k - 1][None], (people, 1, 1)) if k > 1 else None
    full = np.zeros((people, k, size))
    for p in range(people):
        others = [turned[p], *([] if centers is None else centers[p])][: k - 1]
        full[p] = np.insert(np.array(others).reshape(-1, size), places[p], faces[p], axis=0)
    full *= random.uniform(0.1, 5, (people, k, 1))
    return types.SimpleNamespace(
        embeddings=np.array(rows, np.float32),
        labels=np.array(labels),
        truth=np.array(truth),
        centers=full.astype(np.float32),
        places=places,
    )
