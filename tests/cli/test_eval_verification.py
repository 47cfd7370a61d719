import json
import logging
import types

import numpy as np
import pytest

import gluonface.deploy
from gluonface._compat import cv2
from gluonface.cli import eval_common, main
from gluonface.data import VerificationPack
from gluonface.errors import InputError


def write_pack(path, pairs=24, seed=0, kind=None):
    rng = np.random.default_rng(seed)
    issame = [i % 2 == 0 if kind is None else kind for i in range(pairs)]
    bins = []
    for same in issame:
        one, other = rng.integers(0, 256, (2, 4, 4, 3))
        for coarse in (one, one if same else other):
            image = np.kron(coarse, np.ones((28, 28, 1))) + 30 * rng.normal(size=(112, 112, 3))
            image = np.clip(image, 0, 255).astype(np.uint8)
            bins.append(cv2.imencode(".png", image)[1].tobytes())
    VerificationPack(bins, issame).save(path)


class StandIn:
    """Block means of the pixels in place of a network."""

    card = {"name": "block-means", "preprocessing": "inside", "embedding_size": 48}  # noqa: RUF012

    @classmethod
    def load(cls, source, ctx=None, **options):
        model = cls()
        model.loaded = cls.loaded = types.SimpleNamespace(source=source, ctx=ctx, options=options)
        return model

    def embed_views(self, images, batch_size):
        views = [[], []]
        for batch in images:
            assert len(batch) <= batch_size
            for view, x in zip(views, (batch, batch[:, :, ::-1])):
                means = x.reshape(len(x), 4, 28, 4, 28, 3).mean(axis=(2, 4)).reshape(len(x), -1)
                view.append((means - 128).astype(np.float32))
        return tuple(np.concatenate(view) for view in views)

    def embed(self, images, flip, batch_size):
        return self.embed_views(images, batch_size)[0]


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    monkeypatch.setattr(gluonface.deploy, "Embedder", StandIn, raising=False)


@pytest.fixture
def pack(tmp_path):
    write_pack(tmp_path / "lfw.bin")
    return str(tmp_path / "lfw.bin")


def rows(out):
    return [line.split() for line in out.splitlines()[1:]]


def test_one_table_with_a_row_per_pack_and_flip_form(pack, tmp_path, capsys):
    other = str(tmp_path / "other.bin")
    write_pack(other, seed=1)
    status = main(["eval", "verification", "--model", "x", "--flip", "all", "--pack", pack, other])
    captured = capsys.readouterr()
    assert status == 0
    found = rows(captured.out)
    assert [row[0] for row in found] == ["lfw"] * 3 + ["other"] * 3
    assert [row[1] for row in found] == ["none", "sum", "concat"] * 2
    assert captured.out.splitlines()[0].split()[:3] == ["pack", "flip", "pairs"]
    assert "lfw: 100%" in captured.err  # progress stays off standard output
    assert "%|" not in captured.out


def test_several_models_are_compared_in_one_table(pack, tmp_path, capsys):
    file, folder = tmp_path / "f.json", tmp_path / "report"
    words = ["--pack", pack, "--json", str(file), "--report", str(folder)]
    assert main(["eval", "verification", "--model", "net:untrained", "runs/a", *words]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split()[:3] == ["model", "pack", "flip"]
    assert [row[:3] for row in rows(out)] == [
        [model, "lfw", flip] for model in ("net:untrained", "runs/a") for flip in ("none", "sum")
    ]
    facts = json.loads(file.read_text())
    assert [card["source"] for card in facts["model"]] == ["net:untrained", "runs/a"]
    assert [row["model"] for row in facts["results"]] == ["net:untrained"] * 2 + ["runs/a"] * 2
    for name, source in (("net_untrained", "net:untrained"), ("a", "runs/a")):
        own = json.loads((folder / name / "verification.json").read_text())
        assert {row["model"] for row in own["results"]} == {source}


@pytest.mark.parametrize(
    ("option", "forms"),
    [
        ([], ["none", "sum"]),
        (["--flip", "none"], ["none"]),
        (["--flip", "sum"], ["sum"]),
        (["--flip", "concat"], ["concat"]),
        (["--flip", "both"], ["none", "sum"]),
    ],
)
def test_flip_forms(pack, capsys, option, forms):
    assert main(["eval", "verification", "--model", "x", "--pack", pack, *option]) == 0
    assert [row[1] for row in rows(capsys.readouterr().out)] == forms


@pytest.mark.parametrize(
    ("said", "meant"), [("cpu", "cpu"), ("gpu0", "gpu(0)"), ("gpu12", "gpu(12)"), (None, None)]
)
def test_the_device_reaches_the_embedder(pack, said, meant):
    words = ["--ctx", said] if said else []
    assert main(["eval", "verification", "--model", "m", "--pack", pack, *words]) == 0
    assert (StandIn.loaded.source, StandIn.loaded.ctx) == ("m", meant)


def test_precision_colour_and_layer_reach_the_embedder(pack):
    words = ["--precision", "bfloat16", "--model-color", "BGR", "--layer", "fc5"]
    assert main(["eval", "verification", "--model", "m", "--pack", pack, *words]) == 0
    assert StandIn.loaded.options == {"precision": "bfloat16", "color": "BGR", "output": "fc5"}


def test_json_and_report(pack, tmp_path, capsys):
    file, folder = tmp_path / "out" / "f.json", tmp_path / "report"
    words = ["--json", str(file), "--report", str(folder), "--fars", "0.5", "0.25"]
    assert main(["eval", "verification", "--model", "src", "--pack", pack, *words]) == 0
    facts = json.loads(file.read_text())
    assert facts["model"]["name"] == "block-means"
    assert facts["model"]["source"] == "src"
    assert facts["model"]["preprocessing"] == "inside"
    row = facts["results"][1]
    assert (row["pack"], row["flip"], row["n_same"], row["n_different"]) == ("lfw", "sum", 12, 12)
    assert row["pack_sha256"] == VerificationPack.load(pack).sha256
    assert list(row["tar"]) == ["0.5", "0.25"]
    assert len(row["thresholds"]) == 10
    assert {"strict", "reference"} == {p["convention"] for p in row["operating_points"]}
    assert {"python", "numpy"} <= set(facts["versions"])
    assert json.loads((folder / "verification.json").read_text()) == facts
    assert (folder / "lfw-sum-errors.png").exists()
    assert "TAR@0.5  TAR@0.25" in capsys.readouterr().out


def test_packs_of_one_name_are_told_apart(pack, tmp_path, capsys):
    (tmp_path / "b").mkdir()
    write_pack(tmp_path / "b" / "lfw.bin", seed=3)
    words = ["--pack", pack, str(tmp_path / "b" / "lfw.bin"), "--flip", "sum"]
    assert main(["eval", "verification", "--model", "x", *words]) == 0
    assert [row[0] for row in rows(capsys.readouterr().out)] == ["lfw", "lfw-2"]


def test_the_order_of_packs_does_not_matter(pack, tmp_path, capsys):
    other = str(tmp_path / "other.bin")
    write_pack(other, seed=1)
    found = []
    for order in ([pack, other], [other, pack]):
        assert main(["eval", "verification", "--model", "x", "--pack", *order]) == 0
        found.append(sorted(map(tuple, rows(capsys.readouterr().out))))
    assert found[0] == found[1]


def test_stored_embeddings(tmp_path, capsys):
    rng = np.random.default_rng(0)
    issame = np.arange(30) % 2 == 0
    centre = rng.normal(size=(30, 2, 8))
    centre[issame, 1] = centre[issame, 0]
    e, f = ((centre + 0.3 * rng.normal(size=centre.shape)).reshape(60, 8) for _ in range(2))
    np.savez(tmp_path / "full.npz", e=e, f=f, issame=issame, name="mine")
    np.savez(tmp_path / "bare.npz", e=e, issame=issame)
    full, bare = str(tmp_path / "full.npz"), str(tmp_path / "bare.npz")
    assert main(["eval", "verification", "--embeddings", full, bare]) == 0
    found = rows(capsys.readouterr().out)
    assert [row[:2] for row in found] == [["mine", "none"], ["mine", "sum"], ["bare", "none"]]
    assert found[0][2:] == found[2][2:]
    assert main(["eval", "verification", "--embeddings", bare, "--flip", "sum"]) == 2
    assert "needs the outputs of the mirrored images" in capsys.readouterr().err


def test_notes_are_logged_once_per_pack(tmp_path, caplog):
    write_pack(tmp_path / "same.bin", kind=True)
    with caplog.at_level(logging.WARNING, "gluonface.cli"):
        words = ["--model", "x", "--pack", str(tmp_path / "same.bin"), "--flip", "all"]
        assert main(["eval", "verification", *words]) == 0
    (message,) = [r.getMessage() for r in caplog.records if r.name.startswith("gluonface.cli")]
    assert message.startswith("same, flip none, sum, concat: all 24 pairs are same pairs")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give either --model and --pack (or --pairs), or --embeddings"),
        (["--model", "x"], "--pack is missing"),
        (["--pack", "x.bin"], "--model is missing"),
        (["--model", "x", "--pack", "p.bin", "--embeddings", "y.npz"], "give either"),
        (["--model", "x", "--pack", "nowhere.bin"], "nowhere.bin"),
        (["--embeddings", "nowhere.npz"], "there is no file nowhere.npz"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(words, said, capsys):
    assert main(["eval", "verification", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err.splitlines()[-1]


def test_wrong_numbers_are_refused(pack, capsys):
    for words, said in (
        (["--folds", "25"], "24 pairs for 25 folds"),
        (["--batch-size", "0"], "batch_size"),
        (["--fars", "3"], "false-accept rate is 3.0"),
    ):
        assert main(["eval", "verification", "--model", "x", "--pack", pack, *words]) == 2
        assert said in capsys.readouterr().err


def test_a_json_file_that_cannot_be_written(pack, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        eval_common.make_parent(tmp_path / "file" / "x.json")
