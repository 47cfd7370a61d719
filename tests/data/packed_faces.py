"""Small faces as files and packed sets, for the tests of the data tools."""

import csv

import numpy as np

from gluonface.data import RecordDataset, images

QUIET = {"progress": False}


SIZE = 24


COUNTS = {"10": 3, "9": 1, "ann": 4}  # images per person; natural order puts 9 before 10


def face(seed, size=SIZE):
    image = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return images.encode(image, 101)


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def content(path):
    """Return the (label, bytes) of a set in its order."""
    dataset = RecordDataset(path)
    return [dataset.record(i) for i in range(len(dataset))]
