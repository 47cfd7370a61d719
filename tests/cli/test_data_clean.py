import csv
import json
import types

import numpy as np
import pytest

from gluonface.cli import main
from gluonface.data import RecordDataset, RecordWriter, images


@pytest.fixture
def made(tmp_path):
    """A set of 5 people with 6 images each, of which the last one is of the next person."""
    random = np.random.RandomState(0)
    people, each, size = 5, 6, 16
    faces = np.linalg.qr(random.randn(size, size))[0][:people]
    labels = np.repeat(np.arange(people), each)
    shown = labels.copy()
    shown[each - 1 :: each] = (labels[each - 1 :: each] + 1) % people
    embeddings = (faces[shown] + 0.02 * random.randn(len(labels), size)).astype(np.float32)
    centers = np.stack([faces, np.roll(faces, -1, axis=0)], axis=1).astype(np.float32)
    coarse = random.randint(0, 256, (len(labels), 7, 7, 3)).astype(np.uint8)
    pixels = coarse.repeat(16, axis=1).repeat(16, axis=2)
    encoded = [images.encode(one, 101) for one in pixels]
    with RecordWriter(tmp_path / "set") as writer:
        for data, label in zip(encoded, labels):
            writer.add(data, label)
    np.savez(tmp_path / "e.npz", embedding=embeddings, label=labels)
    np.save(tmp_path / "c.npy", centers)
    return types.SimpleNamespace(
        folder=tmp_path,
        labels=labels,
        noise=np.flatnonzero(shown != labels),
        embeddings=embeddings,
        centers=centers,
        pixels=pixels,
        encoded=encoded,
    )


def clean(made, *words, centers="c.npy", embeddings="e.npz", out="out"):
    """Run the command; words given later win."""
    at = made.folder
    options = ["--out", str(at / out)] if out else []
    options += ["--embeddings", str(at / embeddings)] if embeddings else []
    centers = centers if centers == "means" else str(at / centers)
    return main(["data", "clean", str(at / "set"), "--centers", centers, *options, *words])


@pytest.mark.parametrize("centers", ["c.npy", "means", "one.npy", "run"])
def test_noise_is_left_out(made, centers, capsys):
    np.save(made.folder / "one.npy", made.centers[:, 0])
    folder = made.folder / "run/checkpoints/best"
    folder.mkdir(parents=True)
    for rows in (slice(0, 2), slice(2, 5)):
        name = f"head-weight-{rows.start:09d}.npy"
        np.save(folder / name, made.centers[rows].reshape(-1, 32))
    (folder / "manifest.json").write_text(json.dumps({"classes": 5, "embedding_size": 16}))
    assert clean(made, "--json", str(made.folder / "j.json"), centers=centers) == 0
    out = made.folder / "out"
    cleaned = RecordDataset(out)
    kept = np.setdiff1d(np.arange(30), made.noise)
    assert [cleaned.read(i) for i in range(len(cleaned))] == [made.encoded[i] for i in kept]
    assert cleaned.labels.tolist() == made.labels[kept].tolist()
    with open(out / "dropped.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["record"]) for row in rows] == (made.noise + 1).tolist()  # keys start at 1
    assert {row["reason"] for row in rows} == {"angle"}
    assert np.load(out / "centers.npy").shape == (5, 16)
    found = json.loads((made.folder / "j.json").read_text())
    assert (found["images"], found["kept"], found["dropped_angle"]) == (30, 25, 5)
    assert found["subcenters"] == (1 if centers in ("means", "one.npy") else 2)
    assert found["not_nearest_to_dominant"] == (0 if found["subcenters"] == 1 else 5)
    assert sum(found["histogram"]["images"]) == 30
    text = capsys.readouterr().out
    assert "30: 25 kept, 5 dropped (16.7 %)" in text
    assert "5 farther than 75 degrees" in text
    bars = [line.split() for line in text.splitlines() if "to" in line.split()[1:2]]
    assert sum(int(bar[3]) for bar in bars) == 30
    assert bars[0][-1].startswith("####")


def test_small_classes_are_dropped_and_numbers_kept_if_told(made):
    made.embeddings[made.labels == 1] *= -1  # one image of person 1 is left: that of another
    np.savez(made.folder / "e.npz", embedding=made.embeddings)
    made.centers[1, 0] = made.centers[1, 1]
    np.save(made.folder / "c.npy", made.centers)
    made.embeddings[6] = made.centers[1, 0]
    np.savez(made.folder / "e.npz", embedding=made.embeddings)
    for words, labels, classes in (
        ((), [0, 1, 2, 3, 4], 5),
        (("--min-images", "2"), [0, 1, 2, 3], 4),
        (("--min-images", "2", "--keep-ids"), [0, 2, 3, 4], 5),
    ):
        name = f"out{len(words)}"
        assert clean(made, *words, out=name) == 0
        cleaned = RecordDataset(made.folder / name)
        assert np.unique(cleaned.labels).tolist() == labels
        assert cleaned.num_classes == classes
        assert len(np.load(made.folder / name / "centers.npy")) == classes
    with open(made.folder / "out2/dropped.csv", newline="") as file:
        assert [row["record"] for row in csv.DictReader(file) if row["reason"] == "class"] == ["7"]


def test_a_dry_run_writes_the_reports_alone(made, capsys):
    before = sorted(made.folder.iterdir())
    assert clean(made, "--dry-run", out=None) == 0
    assert clean(made, "--dry-run", out="out") == 0
    assert sorted(made.folder.iterdir()) == before
    assert "nothing (--dry-run)" in capsys.readouterr().out
    report = made.folder / "r.csv"
    assert clean(made, "--dry-run", "--report", str(report), "--angle", "180", out=None) == 0
    assert report.read_text() == "record,identity,angle,reason\n"


def test_embeds_when_no_embeddings_are_given(made, monkeypatch):
    from gluonface import deploy
    from gluonface.cli import eval_common

    model = deploy.Embedder.load("mobilefacenet:untrained")
    expected = model.embed(made.pixels)
    asked, passes = [], []
    views = model.embed_views

    def opened(args):
        asked.append(args.model)
        return model, "sum of its files", None

    monkeypatch.setattr(eval_common, "open_model", opened)
    monkeypatch.setattr(model, "embed_views", lambda *a: passes.append(len(a[0])) or views(*a))
    words = ("--angle", "180", "--json", str(made.folder / "j.json"))
    source = ("--model", "some:model", "--batch-size", "7", "--cache", str(made.folder / "cache"))
    assert clean(made, *words, *source, embeddings=None, centers="means") == 0
    live = json.loads((made.folder / "j.json").read_text())
    np.savez(made.folder / "e.npz", embedding=expected)
    assert clean(made, *words, centers="means", out="out2") == 0
    stored = json.loads((made.folder / "j.json").read_text())
    assert live["mean_angle"] == pytest.approx(stored["mean_angle"], abs=1e-2)  # other batches
    # Another limit embeds nothing anew. A run brings its own model.
    assert passes == [7, 7, 7, 7, 2]
    folder = made.folder / "run/checkpoints/last"
    folder.mkdir(parents=True)
    weight = np.random.RandomState(0).randn(5, 3 * 128).astype(np.float32)
    np.save(folder / "head-weight-000000000.npy", weight)
    (folder / "manifest.json").write_text(json.dumps({"classes": 5, "embedding_size": 128}))
    words = ("--dry-run", "--angle", "180", "--cache", str(made.folder / "cache"))
    assert clean(made, *words, centers="run", embeddings=None) == 0
    assert asked == ["some:model", str(made.folder / "run")]
    assert passes == [7, 7, 7, 7, 2]
    monkeypatch.setenv("XDG_CACHE_HOME", str(made.folder / "home"))
    words = ("--dry-run", "--angle", "180", "--no-cache")
    assert clean(made, *words, centers="run", embeddings=None) == 0
    assert sum(passes[5:]) == sum(passes[:5])
    assert not (made.folder / "home/gluonface/embeddings").exists()


@pytest.mark.parametrize(
    ("words", "options", "status", "text"),
    [
        ((), {"out": None}, 2, "--out is missing"),
        ((), {"out": "set"}, 2, "holds a set already"),
        ((), {"out": "six.npy"}, 2, "is a file"),
        ((), {"out": "e.npz"}, 2, "choose another name"),  # which it reads
        ((), {"centers": "means", "embeddings": None}, 2, "give --embeddings"),
        ((), {"embeddings": "none.npz"}, 2, "there is no file"),
        ((), {"centers": "none.npy"}, 2, "none.npy is not there"),
        ((), {"centers": "runs/none", "embeddings": None}, 2, "none is not there"),
        ((), {"centers": "set"}, 2, "no checkpoint with class centres"),
        ((), {"centers": "six.npy"}, 2, "has 6 classes"),
        ((), {"centers": "wide.npy"}, 2, "embeddings have 16 values, centres 8"),
        ((), {"embeddings": "short.npy"}, 2, "29 embeddings of 30 images"),
        ((), {"embeddings": "nan.npy"}, 1, "row 7 of the embeddings (record 8) is not finite"),
        (("--model", "x"), {}, 2, "give one of them"),
        (("--angle", "0"), {}, 2, "--angle is 0"),
        (("--angle", "nan"), {}, 2, "--angle is nan"),
        (("--min-images", "0"), {}, 2, "--min-images is 0"),
        (("--batch-size", "0"), {}, 2, "--batch-size is 0"),
        (("--report", "no/such/r.csv"), {}, 2, "--report: there is no folder"),
        (("--json", "no/such/r.json"), {}, 2, "--json: there is no folder"),
    ],
)
def test_mistakes_are_named_and_write_nothing(made, words, options, status, text, capsys):
    np.save(made.folder / "six.npy", np.ones((6, 16)))
    np.save(made.folder / "wide.npy", np.ones((5, 8)))
    np.save(made.folder / "short.npy", made.embeddings[:-1])
    made.embeddings[7, 0] = np.nan
    np.save(made.folder / "nan.npy", made.embeddings)
    before = sorted(made.folder.rglob("*"))
    assert clean(made, *words, **options) == status
    error = capsys.readouterr().err
    assert "gluonface data: error: " in error
    assert text in error
    assert sorted(made.folder.rglob("*")) == before


def test_a_broken_record_is_left_out_and_listed(made, capsys):
    from gluonface.data.recordio.index import read_index

    at = int(read_index(made.folder / "set/train.idx")[1][9])
    data = bytearray((made.folder / "set/train.rec").read_bytes())
    data[at : at + 4] = b"JUNK"
    (made.folder / "set/train.rec").write_bytes(data)
    assert clean(made, "--json", str(made.folder / "j.json")) == 0
    assert "1 that cannot be read" in capsys.readouterr().out
    assert json.loads((made.folder / "j.json").read_text())["left_out"][0][0] == "record 9"
    assert len(RecordDataset(made.folder / "out")) == 24
    (made.folder / "out/train.idx").unlink()
    (made.folder / "out/.train.rec.part").write_bytes(b"of a killed run")
    assert clean(made, "--angle", "0.001") == 2
    assert "no image is within" in capsys.readouterr().err
    assert clean(made) == 0
    assert clean(made) == 2
    assert clean(made, "--overwrite") == 0
