"""Docstrings of losses, which are made of the declared parameters and the reference."""

import inspect

import pytest

from gluonface.loss import LOSSES
from gluonface.loss._loss import LossRegistry
from gluonface.loss._margin import Margin, Parameter, declare
from gluonface.loss.auxiliary import AUXILIARY

ALL = [LOSSES.get(n) for n in LOSSES.list()] + [AUXILIARY.get(n) for n in AUXILIARY.list()]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_docstring_has_each_parameter_and_the_reference(cls):
    doc = " ".join(inspect.getdoc(cls).split())
    for name, entry in cls.parameters.items():
        assert f"{name} : " in doc
        assert entry.doc[1:] in doc
        assert entry.more in doc
    assert f"References ---------- {cls.authors}: {cls.paper}, " in doc
    assert f"arXiv {cls.arxiv}" in doc or not cls.arxiv


def test_sections_come_in_the_order_of_numpydoc():
    registry = LossRegistry("loss")

    @registry.register("steep", aliases=("slope",))
    class Steep(Margin):
        """A loss.

        Notes
        -----
        None.
        """

        authors = "Doe"
        paper = "On slopes"
        year = 1999
        parameters = declare(
            slope=Parameter(
                2.0, "factor of all", "radians", "Twice is usual.", above=0.0, high=4.0
            ),
            kind=Parameter("a", "which one", choices=("a", "b")),
            count=Parameter(None, "how many", low=1, whole=True),
            on=Parameter(True, "whether it is on"),
        )

    assert Steep.name == "steep" == registry.get("slope").name
    assert inspect.getdoc(Steep) == inspect.cleandoc(
        """A loss.

        Parameters
        ----------
        slope : float, default 2.0
            Factor of all, above 0 and at most 4 radians. Twice is usual.
        kind : {"a", "b"}, default "a"
            Which one.
        count : int, optional
            How many, a whole number at least 1, or none.
        on : bool, default True
            Whether it is on.

        Notes
        -----
        None.

        References
        ----------
        Doe: On slopes, 1999.
        """
    )


def test_a_complete_docstring_stays_as_it_is():
    class Own(Margin):
        """A loss.

        References
        ----------
        Doe, 1999.
        """

        paper = "On slopes"

    assert inspect.getdoc(Own).endswith("----------\nDoe, 1999.")
    assert "Parameters" not in Own.__doc__
