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


def people_images(people=12, images=3, seed=0):
    """Return uint8 (people, images, 112, 112, 3): coarse patterns, a little noise on each."""
    random = np.random.RandomState(seed)
    coarse = random.randint(30, 226, (people, 1, 14, 14, 3)).repeat(images, axis=1)
    noisy = np.clip(coarse + random.randint(-25, 26, coarse.shape), 0, 255).astype(np.uint8)
    return noisy.repeat(8, axis=2).repeat(8, axis=3)


def write_people(folder, faces, suffix=".png"):
    """Write a folder for each person; return it."""
    from gluonface.data import images

    for number, own in enumerate(faces):
        person = folder / f"person{number:02d}"
        person.mkdir(parents=True)
        for place, face in enumerate(own):
            (person / f"{place}{suffix}").write_bytes(images.encode(face, 101))
    return folder


class Marked:
    """Finds the faces that lie at given places; a face is as large as its box says."""

    identity = "marked 1"
    smallest = 20

    def __init__(self, *places):
        self.places = places  # (left, top, side)

    def __call__(self, image):
        from gluonface.data.alignment import TEMPLATE
        from gluonface.data.detectors import Face

        faces = [
            Face(TEMPLATE * side / 112 + [left, top], (left, top, side, side), 0.95)
            for left, top, side in self.places
        ]
        return sorted(faces, key=lambda face: -face.area)
