"""Recipes, files and the command line."""

import pytest
import yaml
from trainers import overrides

from gluonface.errors import InputError
from gluonface.training.config import recipes
from gluonface.training.config.recipes import (
    list_recipes,
    load_config,
    parse_override,
    read_recipe,
    save_config,
)


@pytest.mark.parametrize("name", list_recipes())
def test_recipes_are_valid_and_survive_the_run_folder(name, tmp_path):
    config = load_config(name)
    assert config.recipe == name
    save_config(config, tmp_path / "config.yaml")
    assert load_config(file=tmp_path / "config.yaml") == config


def test_the_gluon_face_recipe():
    config = load_config("mobilefacenet-arcface")
    assert (config.data.batch_size, config.optimizer.lr, config.train.steps) == (1760, 0.35, 86000)
    assert (config.schedule.name, config.schedule.warmup_steps) == ("cosine", 5000)
    assert (config.optimizer.wd, config.optimizer.no_decay) == (4e-5, True)
    assert (config.loss.name, config.loss.arguments) == ("arcface", {"margin": 0.5, "scale": 64.0})
    assert (config.margin_warmup.start, config.margin_warmup.end) == (35000, 35000)


def test_recipe_then_file_then_command_line(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("optimizer: {lr: 0.2, wd: 0.01}\nloss: {margin: 0.4}\n")
    config = load_config("mobilefacenet-arcface", file, overrides("optimizer.lr=0.3"))
    assert config.optimizer.lr == 0.3
    assert config.optimizer.wd == 0.01
    assert config.optimizer.name == "nag"
    assert config.loss.arguments == {"margin": 0.4, "scale": 64.0}


def test_extends(tmp_path):
    (tmp_path / "base.yaml").write_text("extends: finetune\noptimizer: {lr: 0.5}\n")
    (tmp_path / "top.yaml").write_text("extends: base.yaml\ndata: {batch_size: 4}\n")
    tree = read_recipe(tmp_path / "top.yaml")
    assert tree["optimizer"]["lr"] == 0.5
    assert tree["optimizer"]["momentum"] == read_recipe("finetune")["optimizer"]["momentum"]
    assert tree["data"]["batch_size"] == 4
    (tmp_path / "base.yaml").write_text("extends: top.yaml\n")
    with pytest.raises(InputError, match="extends itself"):
        read_recipe(tmp_path / "top.yaml")


def test_another_loss_without_the_recipes_margin():
    config = load_config(
        "mobilefacenet-arcface", None, overrides("loss.name=softmax", "loss.margin=null")
    )
    assert config.loss.arguments == {"scale": 64.0}


def test_a_key_below_a_value():
    with pytest.raises(InputError, match="not a section"):
        load_config(overrides=overrides("optimizer.lr=1", "optimizer.lr.x=1"))


@pytest.mark.parametrize("text", ["optimizer.lr", "=3", "a.b=[1"])
def test_malformed_overrides(text):
    with pytest.raises(InputError, match="--set"):
        parse_override(text)


def test_unknown_recipe_and_broken_files(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'mobilefacenet-arcface'"):
        load_config("mobilefacenet-arcfaces")
    file = tmp_path / "a.yaml"
    file.write_text("a: [")
    with pytest.raises(InputError, match="not YAML"):
        load_config(file=file)
    file.write_text("- 1")
    with pytest.raises(InputError, match="expected sections"):
        load_config(file=file)


def test_recipes_have_a_comment_and_plain_values():
    for path in recipes.RECIPES.glob("*.yaml"):
        text = path.read_text()
        assert text.startswith("#"), path
        assert isinstance(yaml.safe_load(text), dict)
