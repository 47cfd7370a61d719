"""The examples in docstrings run and print what they show."""

import doctest
import importlib
import pathlib

import pytest

from gluonface.errors import MissingExtraError

ROOT = pathlib.Path(__file__).resolve().parents[1]
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(ROOT.glob("gluonface/**/*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_a_module(name, tmp_path, monkeypatch):
    try:
        module = importlib.import_module(name)
    except MissingExtraError as error:
        pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)  # an example may write files
    done = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert done.attempted, "no docstring has the example; is it in a comment?"
    assert not done.failed, "the differences are in the captured output"
