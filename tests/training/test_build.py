"""From a configuration to a trainer."""

import json
import pathlib

import numpy as np
import pytest
from trainers import config_of, make

from gluonface._compat import mx
from gluonface.deploy.export import trace
from gluonface.errors import DataError, InputError
from gluonface.model_zoo._batch_norm import set_batch_norms
from gluonface.training.build import build, with_batch_norms, without_init
from gluonface.training.config.recipes import config_text, load_config
from gluonface.weights.card import make_card
from gluonface.weights.load import load_net


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


def test_batch_norms_of_initial_weights_stay(tiny, noise_set, tmp_path):
    """In training, after a resume, in the run's own source and in what it exports."""
    net = tiny.BACKBONES.get("tiny")[1](tiny.CFG)
    net.initialize()
    settings = {"*": {"eps": 1e-3}, "features.1": {"fix_gamma": True}}
    set_batch_norms(net, settings)
    file = tmp_path / "tiny.params"
    net.save_parameters(str(file))
    file.with_suffix(".json").write_text(json.dumps(make_card(net.cfg, 8)))

    config = config_of(noise_set, model={"init": str(file)})
    trainer = build(config)
    gamma = trainer.net.features[1].gamma
    assert (trainer.net.cfg.batch_norm, gamma.grad_req) == (settings, "null")
    before = gamma.data().asnumpy()
    trainer.fit()
    np.testing.assert_array_equal(gamma.data().asnumpy(), before)

    run = tmp_path / "run"
    (run / "checkpoints/last").mkdir(parents=True)
    (run / "config.yaml").write_text(config_text(with_batch_norms(config, trainer.net)))
    trainer.net.save_parameters(str(run / "checkpoints/last/backbone.params"))
    stored = load_config(file=run / "config.yaml")
    assert stored.model.batch_norm == settings
    assert build(without_init(stored)).net.cfg.batch_norm == settings
    again = load_net(run)
    assert again.cfg.batch_norm == settings
    attributes = trace(again)[0].attr_dict()
    norms = [a for a in attributes.values() if "fix_gamma" in a]
    assert [(a["eps"], a["fix_gamma"]) for a in norms] == [("0.001", "True")]

    (run / "config.yaml").write_text("model: {name: tiny, batch_norm: {features.1: {eps: -1}}}")
    with pytest.raises(DataError, match=r"has model\.batch_norm .*; expected"):
        load_net(run)
