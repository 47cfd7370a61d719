"""Functions in C++ that need no MXNet: where they are, and where not."""

import logging

import pytest

from gluonface.native import build
from gluonface.native.plain import load_plain


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache, and no compiler."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    return tmp_path / "gluonface/native"


def test_without_a_compiler_there_is_none(folder, caplog):
    with caplog.at_level(logging.INFO):
        assert load_plain("nearest", "slower", vectors=True) is None
    assert "slower: they are compiled, and there is no C++ compiler" in caplog.text


def test_switched_off(folder, monkeypatch, caplog):
    monkeypatch.setenv("GLUONFACE_NATIVE", "0")
    with caplog.at_level(logging.INFO):
        assert load_plain("nearest", "slower") is None
    assert not caplog.text
    assert not folder.exists()


@pytest.fixture
def named(folder):
    """Give the name of the file that a library would have."""

    def name(*args):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(build, "_make_plain", lambda folder, key, name, flags: (key, flags))
            return build.plain_library(*args)

    return name


def test_vectors_are_of_one_processor(named, monkeypatch):
    (plain, few), (vectors, many) = named("nearest", False), named("nearest", True)
    assert plain != vectors
    assert "-march=native" in many
    assert "-march=native" not in few
    monkeypatch.setattr(build, "_processor", lambda: b"flags: another")
    assert named("nearest", False)[0] == plain
    assert named("nearest", True)[0] != vectors


def test_what_a_source_includes_is_part_of_its_name(named, monkeypatch, tmp_path):
    (tmp_path / "sum.cc").write_text('#include "terms.h"\n#include <cmath>\n')
    (tmp_path / "terms.h").write_text("// one\n")
    monkeypatch.setattr(build, "HERE", tmp_path)
    first = named("sum")
    assert named("sum") == first
    (tmp_path / "terms.h").write_text("// two\n")
    assert named("sum") != first
