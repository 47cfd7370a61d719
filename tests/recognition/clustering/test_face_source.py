import numpy as np
import pytest
from recognition_cases import Marked, people_images, write_people

from gluonface.data import images
from gluonface.data.embedding_origin import EmbeddingOrigin
from gluonface.deploy import Embedder
from gluonface.errors import DataError, InputError
from gluonface.recognition import FaceReader
from gluonface.recognition.clustering.face_source import (
    content_hash,
    faces_of_folder,
    faces_of_npz,
)


@pytest.fixture(scope="module")
def embedder(small_prefix):
    return Embedder.load(small_prefix)


def test_crops_and_what_was_done(tmp_path, embedder, monkeypatch):
    photos = write_people(tmp_path / "photos", people_images(3, 2))
    (photos / "broken.png").write_bytes(b"x")
    reader, work = FaceReader(embedder, "none"), tmp_path / "work"
    work.mkdir()
    found = faces_of_folder(photos, reader, work)
    assert [face.picture for face in found.faces] == [
        f"person{n:02d}/{k}.png" for n in range(3) for k in range(2)
    ]
    assert [name for name, _ in found.left_out] == ["broken.png"]
    np.testing.assert_array_equal(found.crop(3), people_images(3, 2)[1, 1])
    (expected,) = reader.outputs(found.crop(3)[None])
    np.testing.assert_allclose(found.outputs[3], expected, rtol=1e-5, atol=1e-6)
    calls = []
    read = FaceReader.read
    monkeypatch.setattr(FaceReader, "read", lambda *a: calls.append(1) or read(*a))
    (photos / "person00/0.png").write_bytes(images.encode(people_images(1, 1, 7)[0, 0], 101))
    again = faces_of_folder(photos, reader, work)
    assert len(calls) == 1
    np.testing.assert_array_equal(again.outputs[1:], found.outputs[1:])
    assert not np.array_equal(again.outputs[0], found.outputs[0])
    faces_of_folder(photos, FaceReader(embedder, "none", "none"), work)
    assert len(calls) == 8


def test_all_faces_of_photographs(tmp_path, embedder):
    photo = np.full((300, 400, 3), 128, np.uint8)
    small, large = people_images(2, 1)[:, 0]
    photo[20:132, 30:142], photo[20:132, 200:312] = small, large
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(images.encode(photo, 101))
    reader = FaceReader(embedder, Marked((30, 20, 112), (200, 20, 112), (300, 250, 9)))
    found = faces_of_folder(tmp_path / "photos", reader, tmp_path)
    assert [(face.picture, face.number) for face in found.faces] == [
        ("a.png", 1), ("a.png", 2), ("a.png", 3)]  # fmt: skip
    assert found.aside.tolist() == [False, False, True]
    assert "too small" in found.faces[2].note
    crops = [found.crop(number) for number in range(2)]
    assert {crop.tobytes() for crop in crops} == {small.tobytes(), large.tobytes()}
    nobody = FaceReader(embedder, Marked())
    with pytest.raises(DataError, match=r"no picture below .* has a face"):
        faces_of_folder(tmp_path / "photos", nobody, tmp_path / "photos")


def test_stored_embeddings(tmp_path, embedder):
    rng = np.random.default_rng(0)
    e, f = rng.standard_normal((2, 5, 8)).astype(np.float32)
    np.savez(tmp_path / "views.npz", e=e, f=f)
    np.testing.assert_array_equal(faces_of_npz(tmp_path / "views.npz").outputs, e + f)
    origin = EmbeddingOrigin(embedder.identity, "sum")
    np.savez(tmp_path / "a.npz", embedding=e, path=list("abcde"), **origin.to_arrays())
    found = faces_of_npz(tmp_path / "a.npz", tmp_path)
    assert [face.picture for face in found.faces] == list("abcde")
    assert found.origin.flip == "sum"
    assert found.folder == tmp_path
    with pytest.raises(DataError, match="have no pictures"):
        faces_of_npz(tmp_path / "a.npz").crop(0)
    with pytest.raises(InputError, match="there is no file"):
        faces_of_npz(tmp_path / "none.npz")


def test_the_hash_tells_what_differs():
    one = np.arange(4.0)
    assert content_hash(one, 0.5) == content_hash(one.copy(), 0.5)
    assert len({content_hash(one, 0.5), content_hash(one, 0.6), content_hash(one + 1, 0.5)}) == 3
