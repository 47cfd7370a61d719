"""Encoded pictures, and pickles of them."""

import pickle

import numpy as np

from gluonface.data import images


def pictures(count, side):
    random = np.random.Generator(np.random.PCG64(0))
    return random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def encoded(count=8, side=112):
    return [images.encode(pixel, 101) for pixel in pictures(count, side)]


def dump(path, value, protocol=4):
    path.write_bytes(pickle.dumps(value, protocol))
    return path
