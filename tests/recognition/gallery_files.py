"""Galleries of made people, a reader for the harness of damaged files, a process to be killed."""

import pathlib
import sys

import mutations
import numpy as np

from gluonface.recognition.gallery import EnrolledFace, Gallery

MODEL = {"name": "tiny", "sha256": {"params": "ab" * 32}, "embedding_size": 16}


def faces(rng, count, size=16, name="x"):
    return [
        EnrolledFace(
            rng.standard_normal(size), f"{name}/{n}.jpg", rng.bytes(32).hex(), (1, 2, 3, 4.5)
        )
        for n in range(count)
    ]


def make_gallery(path, people=3, images=3, seed=0, **words):
    gallery = Gallery.create(path, MODEL, **words)
    rng = np.random.default_rng(seed)
    gallery.add([(f"p{n}", faces(rng, images, name=f"p{n}")) for n in range(people)])
    return gallery


def content(gallery):
    return (
        gallery.about,
        gallery.names,
        gallery.person.tolist(),
        gallery.pictures,
        gallery.outputs.tobytes(),
        gallery._rows,
    )


def _make(folder):
    make_gallery(folder / "g.gallery", 4, 12)
    return folder / "g.gallery"


def _read(path):
    """Read a damaged gallery: refused, or equal to the whole one."""
    found = Gallery.open(path)
    whole = Gallery.open(_make_once())
    right = content(whole)
    own = content(found)
    for mine, theirs in zip(own, right):
        if isinstance(mine, list) and mine and isinstance(mine[0], tuple):
            mine, theirs = ([row[:-1] for row in rows] for rows in (mine, theirs))  # the time
        if isinstance(mine, dict) and "created" in mine:
            mine, theirs = ({**about, "created": ""} for about in (mine, theirs))
        assert mine == theirs, "other values were read without a word"
    found.search(whole.outputs[:2])


_WHOLE = []


def _make_once():
    import tempfile

    if not _WHOLE:
        _WHOLE.append(tempfile.mkdtemp())
        _make(pathlib.Path(_WHOLE[0]))
    return pathlib.Path(_WHOLE[0]) / "g.gallery"


def _pages(data, rng):
    """Change single bytes of one page: a cell, a pointer, a length, a value."""
    data = bytearray(data)
    page = 4096 * rng.randrange(len(data) // 4096)
    for _ in range(rng.choice((1, 1, 3))):
        place = page + rng.randrange(rng.choice((12, 100, 4096)))
        data[place] = rng.choice(
            (0, 1, 255, rng.randrange(256), data[place] ^ 1 << rng.randrange(8))
        )
    return bytes(data)


READERS = {"gallery": mutations.Reader(_make, _read, _pages)}


def main(path, seed):
    """Enrol and remove people for ever."""
    gallery, rng, number = Gallery.open(path), np.random.default_rng(int(seed)), 0
    while True:
        number += 1
        gallery.add([(f"n{seed}-{number}-{k}", faces(rng, 7)) for k in range(3)])
        gallery.remove(sorted(gallery.names.values())[rng.integers(len(gallery.names))])


if __name__ == "__main__":
    main(*sys.argv[1:])
