"""From a configuration to a trainer."""

import pathlib

import numpy as np
import pytest
from trainers import make

from gluonface._compat import mx
from gluonface.errors import InputError


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"data": {"path": None}}, "--data"),
        ({"data": {"batch_size": 49}}, "batch"),
        ({"train": {"steps": None}}, "train.steps or train.epochs"),
        ({"model": {"name": "tinny"}}, "tiny"),
        ({"loss": {"name": "arcface", "margin": 9.0}}, "margin"),
        ({"loss": {"name": "arcface", "margn": 0.3}}, "margn"),
        ({"model": {"init": "/nowhere/model"}}, "nowhere"),
        ({"train": {"steps": 5, "ctx": "cpu0,cpu1"}, "data": {"batch_size": 1}}, "devices"),
    ],
)
def test_mistakes_are_named_before_training(tiny, noise_set, sections, words):
    with pytest.raises(InputError, match=words):
        make(noise_set, **sections)


def test_epochs(tiny, noise_set):
    trainer = make(noise_set, train={"steps": None, "epochs": 2})
    assert trainer.steps == 12


def test_init_from_weights(tiny, noise_set, tmp_path):
    net = tiny.BACKBONES.get("tiny")[1](tiny.CFG)
    net.initialize(mx.init.Normal(1.0))
    file = tmp_path / "tiny.params"
    net.save_parameters(str(file))
    for source in (file, f"tiny:{file}"):
        trainer = make(noise_set, model={"init": str(source)})
        np.testing.assert_array_equal(
            trainer.net.features[0].weight.data().asnumpy(),
            net.features[0].weight.data().asnumpy(),
        )
    with pytest.raises(InputError, match=r"model\.name=mobilefacenet"):
        make(noise_set, model={"init": f"mobilefacenet:{pathlib.Path(file)}"})
