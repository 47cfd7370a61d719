"""What is cached is shown, is for the user alone, and can be cleared."""

import errno
import json
import os
import pathlib
import re
import stat

import numpy as np
import pytest

from gluonface import cli
from gluonface.cli import main
from gluonface.errors import InputError
from gluonface.evaluation.files.embedding_cache import embed_images


class Images:
    names = ("a", "b")

    def __len__(self):
        return 2

    def read(self, number):
        return np.full((112, 112, 3), number, np.uint8)

    def key(self):
        return "key"


class Constant:
    embedding_size = 2

    def embed_views(self, batch, batch_size):
        return (np.ones((len(batch), 2), np.float32),) * 2


@pytest.fixture
def filled(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "gluonface"
    embed_images(Constant(), Images(), folder / "embeddings", "model")
    (folder / "native").mkdir()
    (folder / "native" / "operators.so").write_bytes(bytes(1000))
    return folder


def test_embeddings_are_for_the_user_alone(filled):
    for path in (filled / "embeddings").rglob("*"):
        if path.is_dir() or path.suffix == ".npz":
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_caches_are_listed(filled, capsys):
    assert main(["cache"]) == 0
    out = capsys.readouterr().out
    assert "1,000 bytes" in out
    assert "biometric" in out
    assert main(["cache", "--json", "-"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["native"] == {
        "name": "native",
        "folder": str(filled / "native"),
        "files": 1,
        "bytes": 1000,
    }
    assert rows["embeddings"]["files"] == 2
    assert rows["inspections"]["bytes"] == 0


def test_some_or_all_are_cleared_and_nothing_else(filled, tmp_path, capsys):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").touch()
    (filled / "inspections").symlink_to(tmp_path / "elsewhere")
    assert main(["cache", "native", "--clear"]) == 0
    assert "deleted: native" in capsys.readouterr().out
    assert sorted(p.name for p in filled.iterdir()) == ["embeddings", "inspections"]
    assert main(["cache", "--clear"]) == 0
    assert list(filled.iterdir()) == []
    assert (tmp_path / "elsewhere" / "a").exists()
    assert main(["cache", "--clear"]) == 0


def test_what_cannot_be_cleared_is_named_with_its_folder(filled, capsys, monkeypatch):
    def denied(name, *, dir_fd=None):
        raise PermissionError(errno.EACCES, "Permission denied", name)

    monkeypatch.setattr(os, "unlink", denied)  # root may always
    assert main(["cache", "embeddings", "--clear"]) == 1
    first = capsys.readouterr().err
    assert re.fullmatch(
        rf"gluonface cache: error: {filled}/embeddings: \S+: Permission denied\n", first
    )


def test_a_file_in_the_place_of_a_cache_is_removed(filled):
    (filled / "inspections").touch()
    assert main(["cache", "--clear"]) == 0
    assert list(filled.iterdir()) == []


def test_an_unknown_cache_is_named(filled, capsys):
    assert main(["cache", "nonsense"]) == 2
    assert "there are embeddings, inspections, native" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_says_what_else_to_do(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--cache DIR, or keep no embeddings with --no-cache"):
        embed_images(Constant(), Images(), tmp_path / "file", "model")


def test_every_command_that_caches_embeddings_can_do_without(capsys):
    asked = set()
    for path in sorted(pathlib.Path(cli.__file__).parent.glob("*.py")):
        if '"--cache"' in path.read_text(encoding="utf-8"):
            words = path.stem.split("_", 1)
            asked.add(path.stem)
            if path.stem == "eval_common":
                words = ["eval", "ijb"]
            assert main([*words, "--help"]) == 0
            assert "--no-cache" in capsys.readouterr().out, path.stem
    assert {"eval_common", "data_clean", "eval_overlap"} <= asked
