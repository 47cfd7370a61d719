import dataclasses

import pytest
import yaml

from gluonface.errors import InputError
from gluonface.training.config import recipes
from gluonface.training.config.config import Config, config_from_dict, config_to_dict
from gluonface.training.config.options import option_names
from gluonface.training.config.recipes import (
    list_recipes,
    load_config,
    parse_override,
    read_recipe,
    save_config,
)


def overrides(*texts):
    return [parse_override(text) for text in texts]


def test_defaults_survive_a_round_trip():
    config = config_from_dict({})
    assert config == Config()
    assert config_from_dict(config_to_dict(config)) == config


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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("optimizer.lr=1e-3", 1e-3),
        ("train.steps=1e3", 1000),
        ("schedule.warmup_steps=0.1", 0.1),
        ("schedule.warmup_steps=100", 100),
        ("schedule.milestones=[10, 0.5]", [10, 0.5]),
        ("eval.packs=a.bin", ["a.bin"]),
        ("optimizer.no_decay=true", True),
        ("optimizer.clip_norm=null", None),
        ("optimizer.clip_norm=5", 5.0),
    ],
)
def test_values(text, value):
    config = load_config(overrides=overrides(text))
    section, key = text.split("=")[0].split(".")
    found = getattr(getattr(config, section), key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("optimizer.learning_rate=1", "'optimizer.lr'"),
        ("optimizer.momentun=0.9", "'optimizer.momentum'"),
        ("optimiser.lr=1", "'optimizer'"),
        ("batch_size=3", "'data.batch_size'"),
        ("train.lr=3", "'optimizer.lr'"),
        ("optimizer.lr=-1", "more than 0"),
        ("optimizer.lr=fast", "a number"),
        ("optimizer.lr=.nan", "a number"),
        ("optimizer.name=adan", "Did you mean 'adam'"),
        ("train.steps=1.5", "a whole number"),
        ("train.steps=true", "a whole number"),
        ("data.flip=1", "true or false"),
        ("head.sample_rate=1.5", "at most 1"),
        ("schedule.warmup_steps=1.5", "share"),
        ("margin_warmup.end=2.5", "share"),
        ("schedule.name=step", "milestones"),
        ("schedule.milestones=[-1]", "at least 0"),
        ("eval.packs=[1]", "text"),
        ("optimizer=adam", "section"),
        ("optimizer.lr.x=1", "a number"),
        ("train.epochs=3", "both"),
    ],
)
def test_mistakes(text, words):
    with pytest.raises(InputError, match=words):
        load_config(None, None, overrides("train.steps=10", text))


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


def test_every_option_says_what_it_is():
    for section in dataclasses.fields(Config):
        for field in dataclasses.fields(section.type) if section.name != "recipe" else ():
            assert field.metadata["help"], field.name
    assert len(set(option_names(Config))) == len(list(option_names(Config)))


def test_recipes_have_a_comment_and_plain_values():
    for path in recipes.RECIPES.glob("*.yaml"):
        text = path.read_text()
        assert text.startswith("#"), path
        assert isinstance(yaml.safe_load(text), dict)
