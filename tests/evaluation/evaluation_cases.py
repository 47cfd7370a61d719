"""Inputs that the tests of several files of evaluation share."""

import numpy as np

from gluonface.evaluation.protocols import identification
from gluonface.evaluation.scores import templates


def pooled(janus, mode, dtype):
    images, _, outputs = janus
    return templates.pool(
        outputs["emb"],
        images.template,
        images.media,
        outputs["emb_flip"] if mode[5] == "1" else None,
        images.quality if mode[3] == "1" else None,
        mode[1] == "1",
        dtype,
    )


def made_probes(seed, probes=17, distractors=60, ties=False, size=6):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, 4, probes)
    person[:2] = 0
    p = rng.normal(size=(4, size))[person] + 0.8 * rng.normal(size=(probes, size))
    d = rng.normal(size=(distractors, size))
    if ties:
        p, d = np.sign(p), np.sign(d)
    return p, person, d


def search_with_unknown(unknown=5):
    random = np.random.RandomState(1)
    centres = random.randn(20, 16)
    ids = np.concatenate([np.repeat(np.arange(20), 2), np.arange(100, 100 + unknown)])
    probes = np.concatenate([np.repeat(centres, 2, axis=0), random.randn(unknown, 16)])
    probes = probes + random.randn(*probes.shape)
    return identification.evaluate(probes, centres, ids, np.arange(20), fpirs=(0.2,), ranks=(1, 5))
