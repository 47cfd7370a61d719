import json

import numpy as np
import pytest
from recognition_cases import people_images, write_people

from gluonface.cli import main
from gluonface.data import VerificationPack, images


def run(capsys, *words, status=0):
    capsys.readouterr()
    assert main([str(word) for word in words]) == status
    streams = capsys.readouterr()
    return streams.err if status else streams.out


@pytest.fixture
def sets(tmp_path):
    """Ten training people, and a pack of six people of whom two are among them."""
    train = write_people(tmp_path / "train", people_images(10, 3))
    known, new = people_images(10, 5)[:2, 3:], people_images(4, 2, seed=9)
    faces = np.concatenate([known, new])
    bins, issame = [], []
    for number in range(len(faces)):
        for other in (number, (number + 1) % len(faces)):
            bins += [images.encode(faces[number, 0], 101), images.encode(faces[other, 1], 101)]
            issame.append(other == number)
    VerificationPack(bins, issame, name="pack").save(tmp_path / "pack.bin")
    return train, tmp_path / "pack.bin"


def test_a_pack_with_people_of_the_training_set(tmp_path, capsys, sets, small_prefix):
    words = ["--train", sets[0], "--test", sets[1], "--model", small_prefix, "--folds", "4",
             "--cosine", "0.9", "--cache", tmp_path / "cache"]  # fmt: skip
    said = run(capsys, "eval", "overlap", *words, "--images", "--report", tmp_path / "report",
               "--json", tmp_path / "o.json")  # fmt: skip
    found = json.loads((tmp_path / "o.json").read_text())
    assert sorted(row[1] for row in found["flagged"]) == ["person00", "person01"]
    assert found["people"] == 6
    assert found["pairs_touched"] == 5
    assert "2 of 6 test people (33.3 %) are perhaps among 10 training people" in said
    assert "accuracy on all pairs: none; 6 same and 6 different pairs are left, 30" in said
    assert (tmp_path / "report/overlap.csv").read_text().startswith("test,train,cosine\n")
    assert (tmp_path / "report/images.csv").read_text().startswith("test,train,bits,mirrored\n")
    assert (tmp_path / "report/index.html").read_text().count("<img") == 4


def test_copies_are_found(tmp_path, capsys, sets, small_prefix):
    test = write_people(tmp_path / "test", people_images(2, 1, seed=5))
    face = images.decode((sets[0] / "person03/1.png").read_bytes())
    (test / "person00/copy.jpg").write_bytes(images.encode(face[:, ::-1], 80))
    said = run(capsys, "eval", "overlap", "--train", sets[0], "--test", test, "--model",
               small_prefix, "--images", "--report", tmp_path / "r", "--cosine", "0.99",
               "--cache", tmp_path / "cache")  # fmt: skip
    assert "pairs of a training and a test image are nearly the same" in said
    lines = (tmp_path / "r/images.csv").read_text().splitlines()
    assert any(line.startswith("person00/copy.jpg,person03/1.png,") for line in lines)
    assert all(line.endswith(",1") for line in lines[1:] if "person03/1.png" in line)


def test_stored_embeddings_and_centres(tmp_path, capsys):
    rng = np.random.default_rng(0)
    train = rng.standard_normal((200, 32)).astype(np.float32)
    np.save(tmp_path / "centres.npy", train)
    labels = np.repeat(np.arange(200), 2)
    images_ = train[labels] + 0.3 * rng.standard_normal((400, 32)).astype(np.float32)
    np.savez(tmp_path / "train.npz", embedding=images_, label=labels)
    people = np.concatenate([train[:5], rng.standard_normal((115, 32))])
    a, b = (people + 0.3 * rng.standard_normal(people.shape) for _ in range(2))
    rows = np.stack([a, b, a, np.roll(b, 1, axis=0)], axis=1).reshape(-1, 32).astype(np.float32)
    np.savez(tmp_path / "test.npz", embedding=rows, issame=np.tile([True, False], 120))
    for source in (["--train", tmp_path / "train.npz"], ["--centers", tmp_path / "centres.npy"]):
        said = run(capsys, "eval", "overlap", *source, "--test", tmp_path / "test.npz",
                   "--cosine", "0.8", "--json", tmp_path / "o.json")  # fmt: skip
        found = json.loads((tmp_path / "o.json").read_text())
        assert len(found["flagged"]) == 5
        assert {"accuracy_all", "accuracy_without"} <= found.keys()
        assert "accuracy on the other pairs: " in said
    said = run(capsys, "eval", "overlap", "--train", tmp_path / "train.npz", "--test",
               tmp_path / "test.npz", "--fpir", "0.01")  # fmt: skip
    assert "test people" in said


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--train", "a.npy", "--test", "e.npz"], "does not say who is on its images"),
        (["--centers", "a.npy", "--test", "e.npz", "--fpir", "0.1"], "--fpir needs --train"),
        (["--centers", "a.npy", "--test", "e.npz", "--cosine", "1"], "--cosine is 1"),
        (["--centers", "a.npy", "--test", "e.npz", "--images"], "--images needs both sets"),
        (["--centers", "a.npy", "--test", "people"], "--model is missing"),
        (["--centers", "b.npy", "--test", "e.npz"], "embeddings of one model were expected"),
    ],
)
def test_wrong_use(tmp_path, capsys, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("a.npy", rng.standard_normal((4, 8)).astype(np.float32))
    np.save("b.npy", rng.standard_normal((4, 9)).astype(np.float32))
    np.savez("e.npz", embedding=rng.standard_normal((4, 8)), path=["x/1", "x/2", "y/1", "y/2"])
    write_people(tmp_path / "people", people_images(1, 1))
    assert text in run(capsys, "eval", "overlap", *words, status=2)
