"""Stored embeddings of another model or flip form are refused by every command that reads them."""

import json
import pathlib

import numpy as np
import pytest

from gluonface.cli import main
from gluonface.data.embedding_origin import EmbeddingOrigin, ModelIdentity
from gluonface.weights import open_weights

ONE = ModelIdentity("one", {"params": "ab" * 32})
OTHER = ModelIdentity("other", {"params": "cd" * 32})
PEOPLE, IMAGES, SIZE = 8, 3, 16


def write(path, model=ONE, flip="sum", views=False, seed=0, **arrays):
    """Write embeddings of made people as `gluonface embed` does."""
    random = np.random.RandomState(seed)
    rows = random.randn(PEOPLE, 1, SIZE) + 0.3 * random.randn(PEOPLE, IMAGES, SIZE)
    rows = rows.reshape(-1, SIZE).astype(np.float32)
    owner = np.repeat(np.arange(PEOPLE), IMAGES)
    arrays.setdefault("path", np.array([f"p{o}/{n}.png" for n, o in enumerate(owner)]))
    arrays.setdefault("identity", np.array([f"p{o}" for o in owner]))
    if views:
        arrays.update(e=rows, f=rows + 0.1)
    origin = {} if model is None else EmbeddingOrigin(model, flip).to_arrays()
    np.savez(path, embedding=rows, **arrays, **origin)
    return str(path)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        status = main(["eval", *words])
        return status, capsys.readouterr().err

    return call


def folder(path):
    return ["folder", "--embeddings", path]


def pairs(path):
    return ["verification", "--embeddings", path]


def ifrt(path):
    return ["ifrt", "--embeddings", path]


def nist(path):
    return ["nist", "--embeddings", path]


@pytest.mark.parametrize("command", [folder, pairs, ifrt, nist])
def test_a_model_that_did_not_make_them(run, small_prefix, command):
    issame = np.arange(PEOPLE * IMAGES // 2) % 2 == 0
    more = {"group": np.repeat(np.arange(PEOPLE) % 2, IMAGES).astype(str), "issame": issame}
    write("e.npz", views=True, **more)
    status, err = run(*command("e.npz"), "--model", str(small_prefix))
    assert status == 1
    small = open_weights(small_prefix).identity
    assert f"e.npz holds embeddings of one (sha256 abababababab), not of {small}" in err
    for model in (small, None):  # that very model, and an older file
        write("e.npz", model, views=True, **more)
        status, err = run(*command("e.npz"), "--model", str(small_prefix))
        assert status == 0, err


def test_a_note_where_a_file_does_not_say_it(run, small_prefix, caplog):
    write("e.npz", None)
    assert run(*folder("e.npz"), "--model", str(small_prefix))[0] == 0
    assert "e.npz does not say which model made its features" in caplog.text


@pytest.mark.parametrize("protocol", ["identification", "nist"])
def test_a_gallery_of_another_model(run, caplog, protocol):
    words = protocol, "--gallery-embeddings", "g.npz", "--probe-embeddings", "p.npz"
    owner = np.repeat(np.arange(PEOPLE), IMAGES)
    stranger = {"identity": np.array([f"p{o}" if o else "stranger" for o in owner])}
    write("g.npz", ONE)
    write("p.npz", OTHER, seed=1, **stranger)
    status, err = run(*words)
    assert status == 1
    assert "p.npz holds embeddings of other (sha256 cdcdcdcdcdcd), g.npz holds those of one" in err
    write("p.npz", ONE, flip="none", **stranger)
    status, err = run(*words)
    assert status == 1
    assert "p.npz holds embeddings of flip none, g.npz those of flip sum" in err
    write("p.npz", ONE, **stranger)
    assert run(*words)[0] == 0
    write("p.npz", None, **stranger)
    assert run(*words)[0] == 0
    assert "p.npz does not say which model made its features" in caplog.text


def test_distractors_of_another_model(run):
    owner = np.repeat(np.arange(PEOPLE), IMAGES)
    paths = [f"p{o}/{n}.png" for n, o in enumerate(owner)]
    with open("probes.json", "w") as file:
        json.dump({"path": paths, "id": [f"p{o}" for o in owner]}, file)
    with open("distractors.json", "w") as file:
        json.dump({"path": paths}, file)
    words = "megaface", "--probe-list", "probes.json", "--distractor-list", "distractors.json"
    words += "--probe-features", "p.npz", "--distractor-features", "d.npz"
    write("p.npz", ONE)
    write("d.npz", OTHER, seed=1)
    status, err = run(*words)
    assert status == 1
    assert "d.npz holds embeddings of other" in err
    write("d.npz", ONE, seed=1)
    assert run(*words)[0] == 0


def test_the_flip_form_is_that_of_the_file(run):
    write("e.npz", flip="sum")
    status, err = run(*folder("e.npz"), "--flip", "none")
    assert status == 2
    assert "--flip none: the stored embeddings are of flip sum" in err
    assert run(*folder("e.npz"), "--flip", "sum", "--json", "r.json")[0] == 0
    assert '"flip": "sum"' in pathlib.Path("r.json").read_text()
    write("v.npz", flip="sum", views=True)  # with both outputs every form can be made
    assert run(*folder("v.npz"), "--flip", "none")[0] == 0


def test_several_files_are_labelled_with_their_models(run, capsys):
    issame = np.arange(PEOPLE * IMAGES // 2) % 2 == 0
    write("a.npz", ONE, views=True, issame=issame)
    write("b.npz", OTHER, views=True, issame=issame)
    assert main(["eval", "verification", "--embeddings", "a.npz", "b.npz", "--flip", "sum"]) == 0
    out = capsys.readouterr().out
    assert "one (sha256 abababababab)" in out
    assert "other (sha256 cdcdcdcdcdcd)" in out


def test_damaged_origins_are_an_error(run):
    write("e.npz")
    with np.load("e.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez("e.npz", **{**arrays, "model_sha256": np.array([1.0])})
    status, err = run(*folder("e.npz"))
    assert status == 1
    assert "e.npz: model, model_sha256 and flip hold" in err
