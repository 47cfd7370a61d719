"""Declared parameters: defaults, ranges, words, and what an error says."""

import inspect

import pytest

from gluonface.errors import InputError
from gluonface.parameters import Declared, Parameter, declare


class Margin(Declared):
    name = "margin"
    parameters = declare(
        margin=Parameter(0.5, "added to the angle", "radians", above=0, high=1.5, why="cosine"),
        steps=Parameter(3, "how often", low=1, whole=True),
        policy=Parameter("hard", "above pi", choices=("hard", "easy")),
        limit=Parameter(None, "a bound, or none", low=0),
    )


def test_defaults_signature_and_repr():
    assert repr(Margin()) == "Margin(margin=0.5, steps=3, policy='hard', limit=None)"
    signature = inspect.signature(Margin)
    assert [p.default for p in signature.parameters.values()] == [0.5, 3, "hard", None]
    assert all(p.kind is p.KEYWORD_ONLY for p in signature.parameters.values())


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("margin", 1, 1.0),
        ("margin", 1.5, 1.5),
        ("steps", 1, 1),
        ("steps", 2.0, 2),
        ("policy", "easy", "easy"),
        ("limit", None, None),
        ("limit", 0, 0.0),
    ],
)
def test_values_that_are_allowed(name, value, kept):
    margin = Margin(**{name: value})
    assert getattr(margin, name) == kept
    assert type(getattr(margin, name)) is type(kept)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("margin", 0, r"margin: margin=0.0 is not allowed; it must be above 0 and at most 1.5"),
        ("margin", 1.6, r"radians: cosine\. The default is 0\.5\."),
        ("margin", float("nan"), "must be a finite number, above 0"),
        ("margin", True, "margin=True is not allowed; it must be a finite number"),
        ("margin", "0.5", "margin='0.5' is not allowed; it must be a finite number"),
        ("margin", None, "margin=None is not allowed"),
        ("steps", 0, "must be a whole number at least 1"),
        ("steps", 1.5, "must be a whole number at least 1"),
        ("policy", "strict", "must be one of hard, easy"),
        ("limit", -1, "must be at least 0, or none"),
    ],
)
def test_values_that_are_refused(name, value, message):
    with pytest.raises(InputError, match=message):
        Margin(**{name: value})
    margin = Margin()
    with pytest.raises(InputError, match=message):
        setattr(margin, name, value)
    assert getattr(margin, name) == Margin.parameters[name].default


def test_an_unknown_parameter_suggests_the_nearest():
    with pytest.raises(InputError, match=r"no parameter 'margins'\. Did you mean 'margin'\?"):
        Margin(margins=0.5)
    with pytest.raises(InputError, match="Known: margin, steps, policy, limit"):
        Margin(unheard=1)


def test_other_attributes_are_free():
    margin = Margin()
    margin.state = "anything"
    assert margin.state == "anything"
    assert Parameter(0.1, "").allowed == "any number"


def test_the_table_is_read_only():
    with pytest.raises(TypeError):
        Margin.parameters["margin"] = Parameter(1.0, "")
