import numpy as np
import pytest

from gluonface._compat import cv2
from gluonface.cli import main
from gluonface.data import RecordWriter, VerificationPack
from gluonface.deploy import Embedder, combine_views
from gluonface.evaluation.protocols import verification

MODEL = "mobilefacenet:untrained"


@pytest.fixture(scope="module")
def faces():
    coarse = np.random.RandomState(0).randint(0, 256, (8, 7, 7, 3)).astype(np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


@pytest.fixture(scope="module")
def expected(faces):
    return Embedder.load(MODEL).embed(faces)


def png(face):
    return cv2.imencode(".png", face[:, :, ::-1])[1].tobytes()


def embed(source, out, *words):
    return main(["embed", "--model", MODEL, "--input", str(source), "--out", str(out), *words])


def load(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


# The network is run on the same pixels; only the batches differ.
CLOSE = {"rtol": 0, "atol": 1e-5}


def test_folder(faces, expected, tmp_path, capsys):
    names = ["b/2.png", "b/1.PNG", "a/9.png", "c.png"]
    for name, face in zip(names, faces):
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(face))
    (tmp_path / "in/notes.txt").write_text("not a face")
    assert embed(tmp_path / "in", tmp_path / "e.npz", "--batch-size", "3") == 0
    arrays = load(tmp_path / "e.npz")
    assert arrays["path"].tolist() == ["a/9.png", "b/1.PNG", "b/2.png", "c.png"]
    assert arrays["embedding"].dtype == np.float32
    np.testing.assert_allclose(arrays["embedding"], expected[[2, 1, 0, 3]], **CLOSE)
    assert f"4 embeddings of 128 values: {tmp_path / 'e.npz'}" in capsys.readouterr().out


def test_records(faces, expected, tmp_path):
    with RecordWriter(tmp_path / "rec") as writer:
        for number, face in enumerate(faces):
            writer.add(png(face), number // 3)
    for source in (tmp_path / "rec", tmp_path / "rec/train.rec"):
        assert embed(source, tmp_path / "e.npz") == 0
        arrays = load(tmp_path / "e.npz")
        assert arrays["label"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
        np.testing.assert_allclose(arrays["embedding"], expected, **CLOSE)


def test_pack_and_views(faces, expected, tmp_path):
    issame = [True, False, True, False]
    VerificationPack([png(face) for face in faces], issame).save(tmp_path / "p.bin")
    assert embed(tmp_path / "p.bin", tmp_path / "e.npz", "--views", "--flip", "concat") == 0
    arrays = load(tmp_path / "e.npz")
    assert arrays["issame"].tolist() == issame
    assert arrays["embedding"].shape == (8, 256)
    np.testing.assert_allclose(combine_views(arrays["e"], arrays["f"]), expected, **CLOSE)
    # What eval reads from such a file.
    result = verification.evaluate(arrays["e"][::2], arrays["e"][1::2], arrays["issame"], folds=2)
    assert 0 <= result.accuracy <= 1
    words = ["eval", "verification", "--embeddings", str(tmp_path / "e.npz"), "--folds", "2"]
    assert main(words) == 0


def test_wrong_input(faces, tmp_path, capsys):
    out = tmp_path / "e.npz"
    (tmp_path / "empty").mkdir()
    (tmp_path / "big").mkdir()
    (tmp_path / "big/face.png").write_bytes(png(faces[0].repeat(2, axis=0)))
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/face.png").write_bytes(png(faces[0])[:200])
    for source, status, message in (
        ("none", 2, "is not there; a folder of people"),
        ("empty", 2, "has no photographs"),
        ("big", 1, "face.png is 112x224 (width x height); expected an aligned face of 112x112"),
        ("torn", 1, "face.png cannot be read as a picture"),
    ):
        assert embed(tmp_path / source, out) == status
        assert message in capsys.readouterr().err
    assert not out.exists()
    assert embed(tmp_path / "big", tmp_path / "e.txt") == 2
    assert "expected a name that ends in .npz" in capsys.readouterr().err
    assert embed(tmp_path / "big", tmp_path / "no/e.npz") == 2
    assert "there is no folder" in capsys.readouterr().err
    assert embed(tmp_path / "big", out, "--batch-size", "0") == 2
    assert "--batch-size is 0" in capsys.readouterr().err


def test_files_say_what_made_them(faces, small_prefix, tmp_path):
    from gluonface.data.embedding_origin import pop_origin

    for number, face in enumerate(faces):
        (tmp_path / f"in/p{number // 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"in/p{number // 2}/{number}.png").write_bytes(png(face))
    words = ["--model", str(small_prefix), "--input", str(tmp_path / "in"), "--flip", "none"]
    assert main(["embed", *words, "--out", str(tmp_path / "e.npz")]) == 0
    origin = pop_origin(load(tmp_path / "e.npz"), "e.npz")
    assert origin.model.is_same(Embedder.load(small_prefix).identity)
    assert origin.flip == "none"
    # Random weights cannot be recognised: nothing is claimed.
    assert embed(tmp_path / "in", tmp_path / "r.npz") == 0
    assert pop_origin(load(tmp_path / "r.npz"), "r.npz") is None


def test_single_pictures_and_some_that_cannot_be_read(faces, expected, tmp_path, capsys):
    names = [str(tmp_path / f"{n}.png") for n in range(3)]
    for name, face in zip(names, faces):
        (tmp_path / name).write_bytes(png(face))
    (tmp_path / "bad.jpg").write_bytes(b"nothing")
    out = tmp_path / "e.npz"
    words = ["embed", "--model", MODEL, "--out", str(out), "--input"]
    assert main([*words, names[0]]) == 0
    assert load(out)["path"].tolist() == names[:1]
    np.testing.assert_allclose(load(out)["embedding"], expected[:1], **CLOSE)
    mixed = [names[0], str(tmp_path / "bad.jpg"), *names[1:]]
    out.unlink()
    assert main([*words, *mixed]) == 1
    assert not out.exists()
    capsys.readouterr()
    assert main([*words, *mixed, "--allow-bad", "1", "--batch-size", "2"]) == 0
    assert "left out: " in capsys.readouterr().out
    assert load(out)["path"].tolist() == names
    np.testing.assert_allclose(load(out)["embedding"], expected[:3], **CLOSE)
    assert main([*words, str(tmp_path / "bad.jpg"), *mixed, "--allow-bad", "1"]) == 1
    assert "one more than --allow-bad 1" in capsys.readouterr().err
    with RecordWriter(tmp_path / "rec") as writer:
        writer.add(png(faces[0]), 0)
    assert main([*words, str(tmp_path / "rec"), "--allow-bad", "1"]) == 2
    assert "keep their places" in capsys.readouterr().err
