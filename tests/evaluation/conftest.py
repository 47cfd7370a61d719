"""Inputs that the evaluation tests share."""

import json
import runpy

import numpy as np
import pytest

from gluonface.data import VerificationPack
from gluonface.evaluation.files import ijb_lists
from gluonface.evaluation.protocols import verification


def noisy_pairs(n, seed, noise=0.9, size=16, ties=False):
    """Return un-normalised outputs e, f (2n, size) of n pairs and issame (n,), half of them same.

    The order is random, so that folds hold unequal numbers of each kind.
    """
    rng = np.random.default_rng(seed)
    issame = rng.permutation(np.arange(n) % 2 == 0)
    centre = rng.normal(size=(n, 2, size))
    centre[issame, 1] = centre[issame, 0]
    e, f = (centre + noise * rng.normal(size=centre.shape) for _ in range(2))
    e, f = e.reshape(2 * n, size), f.reshape(2 * n, size)
    if ties:
        e, f = np.round(e), np.round(f)
    return e, f, issame


@pytest.fixture(name="noisy_pairs")
def _noisy_pairs():
    return noisy_pairs


@pytest.fixture
def expected(shared):
    return json.loads((shared / "reference/eval/expected.json").read_text())


@pytest.fixture(scope="session")
def verification_pairs(shared):
    """Return the maker of synthetic pair embeddings of the reference cases."""
    return runpy.run_path(str(shared / "reference/eval/make_inputs.py"))["verification_pairs"]


class PixelEmbedder:
    """A stand-in for gluonface.deploy.Embedder: block means of the pixels are the outputs."""

    card = {"name": "block-means", "preprocessing": "inside", "embedding_size": 192}  # noqa: RUF012

    def __init__(self):
        self.seen = []

    def embed_views(self, images, batch_size):
        batches = [images] if isinstance(images, np.ndarray) else images
        views = [[], []]
        for batch in batches:
            self.seen.append(len(batch))
            for view, x in zip(views, (batch, batch[:, :, ::-1])):
                means = x.reshape(len(x), 8, 14, 8, 14, 3).mean(axis=(2, 4)).reshape(len(x), -1)
                view.append((means - 128).astype(np.float32))
        return tuple(np.concatenate(view) for view in views)

    def embed(self, images, flip, batch_size):
        assert flip == "none"
        e, _ = self.embed_views(images, batch_size)
        return e / np.linalg.norm(e, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def new_embedder():
    return PixelEmbedder


@pytest.fixture
def pixel_embedder():
    return PixelEmbedder()


def png(image):
    from gluonface._compat import cv2

    return cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()


@pytest.fixture(scope="session")
def make_pack():
    """Return a maker of packs of coloured noise whose same pairs differ by noise alone."""

    def make(pairs=24, seed=0, name="made", noise=40, issame=None):
        rng = np.random.default_rng(seed)
        issame = np.arange(pairs) % 2 == 0 if issame is None else np.asarray(issame)
        bins = []
        for same in issame:
            one, other = rng.integers(0, 256, (2, 4, 4, 3))
            for coarse in (one, one if same else other):
                image = np.kron(coarse, np.ones((28, 28, 1)))
                image += noise * rng.normal(size=(8, 8, 3)).repeat(14, 0).repeat(14, 1)
                bins.append(png(np.clip(image, 0, 255).astype(np.uint8)))
        return VerificationPack(bins, issame.tolist(), name=name)

    return make


@pytest.fixture(scope="session")
def evaluated(make_pack, new_embedder):
    """Return results with errors, in three flip forms, and their pack."""
    pack = make_pack(pairs=60, noise=90)
    results = verification.evaluate_pack(new_embedder(), pack, ("none", "sum", "concat"))
    assert any(call.error for call in results["none"].calls())
    return list(results.values()), pack


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "reference/eval"


@pytest.fixture(scope="module")
def janus(folder):
    """Return images, pairs and outputs of the reference case."""
    images = ijb_lists.read_images(
        folder / "ijbc_face_tid_mid.txt", folder / "ijbc_name_5pts_score.txt"
    )
    pairs = ijb_lists.read_pairs(folder / "ijbc_template_pair_label.txt")
    outputs = np.load(folder / "ijb_feats.npz")
    return images, pairs, outputs
