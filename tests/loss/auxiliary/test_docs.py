"""The page of the auxiliary losses has all of them, and its picture is there."""

import pathlib

import pytest

from gluonface.loss.auxiliary import AUXILIARY

DOCS = pathlib.Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.parametrize("name", AUXILIARY.list())
def test_every_loss_is_on_the_page(name):
    page, entry = (DOCS / "losses_gallery.rst").read_text(), AUXILIARY.get(name)
    assert f".. _auxiliary-{name}:\n\n{name}\n" in page
    assert f".. autoclass:: {entry.__module__}.{entry.__name__}\n" in page
    assert page.count(f"<auxiliary-{name}>") == 1


def test_the_picture_is_small():
    assert 50_000 < (DOCS / "_static" / "digits-embeddings.png").stat().st_size < 400_000
