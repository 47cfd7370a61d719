"""Options: values, ranges and messages."""

import dataclasses

import pytest
from trainers import overrides

from gluonface.errors import InputError
from gluonface.training.config.config import Config
from gluonface.training.config.options import option_names
from gluonface.training.config.recipes import (
    load_config,
)


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


def test_every_option_says_what_it_is():
    for section in dataclasses.fields(Config):
        for field in dataclasses.fields(section.type) if section.name != "recipe" else ():
            assert field.metadata["help"], field.name
    assert len(set(option_names(Config))) == len(list(option_names(Config)))
