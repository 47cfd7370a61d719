"""Made scores, a card and a model for the tests of recognition."""

import numpy as np


def people_scores(people=40, images=4, size=32, spread=1.2, seed=0):
    """Return (score, issame, (a, b)) of all pairs of made people."""
    random = np.random.RandomState(seed)
    faces = random.randn(people, 1, size) + spread * random.randn(people, images, size)
    faces = faces.reshape(-1, size)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    owner = np.repeat(np.arange(people), images)
    i, j = np.triu_indices(len(owner), 1)
    return (faces[i] * faces[j]).sum(axis=1), owner[i] == owner[j], (owner[i], owner[j])


SHA = "ab" * 32


def model(name="tiny", digest=SHA, role="params"):
    return {"name": name, "sha256": {role: digest}, "embedding_size": 32}


def comparison(flip="sum", input="crops"):
    return {"flip": flip, "template": "image", "input": input}
