"""The pages of the losses that docs/_losses.py makes must hold for every registered loss."""

import importlib
import inspect
import pathlib
import re
import sys

import numpy as np
import pytest

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def losses():
    """Return docs/_losses.py as a module."""
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module("_losses")
    finally:
        sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def pages(losses):
    return losses.pages()


def registered():
    from gluonface.loss import LOSSES
    from gluonface.loss.auxiliary import AUXILIARY

    return [("", n, LOSSES.get(n)) for n in LOSSES.list()] + [
        ("auxiliary/", n, AUXILIARY.get(n)) for n in AUXILIARY.list()
    ]


def test_formulas_are_such_as_docutils_sets_right(pages):
    r"""It makes 12 over the next sign of \frac12 x, and puts the i of \hat x_i below the x."""
    for name, text in pages.items():
        assert not re.search(r"frac(?!\{)|\\(hat|bar|tilde|vec)\s*\{?\w\}?_", text), name


def test_each_loss_has_a_page_that_says_all_of_it(pages):
    for folder, name, cls in registered():
        text = pages[f"losses/{folder}{name}.rst"]
        assert ".. math::" in text
        for parameter in cls.parameters:
            assert f"- ``{parameter}``" in text
        assert cls.arxiv in text
        assert ("Notes\n-----" in text) == ("Notes\n-----" in inspect.getdoc(cls))


def test_the_comparison_says_of_each_loss_what_is_known_of_its_accuracy(losses, pages):
    assert set(losses.LFW) == {f"{folder}{name}" for folder, name, _ in registered()}
    for name, (figure, source) in losses.LFW.items():
        assert f"<loss-{name.replace('/', '-')}>`" in pages["losses_compared.inc"]
        if figure in ("unknown", "not read", "none"):
            assert source
        else:  # a figure, and where it was read
            assert 90 < float(figure.rstrip("+")) < 100
            assert "<https://" in source


def test_curves_are_finite_and_of_every_policy(losses):
    for folder, name, cls in registered():
        if folder:
            continue
        curves = dict(losses._curves(name))
        assert all(np.isfinite(values).all() for values in curves.values())
        if "policy" in cls.parameters:
            for policy in {*cls.parameters["policy"].choices} - {"auto"}:
                assert f"policy={policy!r}" in curves


def test_the_curve_of_arcface_is_its_formula(losses):
    # float32 cosines near 0 degrees are angles to 3e-4 only
    curve = dict(losses._curves("arcface"))["policy='none'"]
    np.testing.assert_allclose(curve, np.cos(losses.THETA + 0.5), atol=5e-4)
