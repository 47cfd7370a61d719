import numpy as np
import pytest
from gallery_files import MODEL
from recognition_cases import Marked, people_images, write_people

from gluonface.data import images
from gluonface.deploy import Embedder
from gluonface.errors import DataError, InputError
from gluonface.recognition import FaceReader, Gallery
from gluonface.recognition.gallery_photos import (
    enrol_photos,
    find_pictures,
    identify_photo,
    list_people,
)


@pytest.fixture(scope="module")
def reader(small_prefix):
    return FaceReader(Embedder.load(small_prefix), "none")


@pytest.fixture
def gallery(tmp_path, reader):
    return Gallery.create(tmp_path / "g", reader.identity.to_dict())


@pytest.fixture
def photos(tmp_path):
    return write_people(tmp_path / "photos", people_images(4, 3))


def test_enrol_and_identify(gallery, reader, photos):
    done = enrol_photos(gallery, reader, list_people(photos))
    assert (done.added.people, done.added.faces, done.left_out) == (4, 12, [])
    for number in range(4):
        ((face, near),) = identify_photo(gallery, reader, photos / f"person{number:02d}/1.png", 2)
        assert near[0].name == f"person{number:02d}"
        assert len(near) == 2
        own = gallery.outputs[gallery.person == number + 1].astype(np.float64).sum(axis=0)
        assert near[0].score == pytest.approx(
            float(face.embedding @ own / np.linalg.norm(own)), abs=1e-6
        )
    assert Gallery.open(gallery.path).pictures[0] == str(photos / "person00/0.png")


def test_enrolling_again_goes_on(gallery, reader, photos, monkeypatch):
    calls = []
    read = FaceReader.read
    monkeypatch.setattr(FaceReader, "read", lambda *a: calls.append(1) or read(*a))
    enrol_photos(gallery, reader, {"person00": [str(photos / "person00/0.png")]}, paths=False)
    done = enrol_photos(gallery, reader, list_people(photos))
    assert len(calls) == 12  # each picture once
    assert done.added.skipped == [(str(photos / "person00/0.png"), "person00")]
    assert done.added.known == {"person00": 1}
    assert gallery.pictures[0] is None


def test_pictures_that_cannot_be_used(gallery, reader, photos):
    (photos / "person00/0.png").write_bytes(b"no picture")
    (photos / "person01/1.png").write_bytes(images.encode(np.zeros((50, 60, 3), np.uint8), 101))
    done = enrol_photos(gallery, reader, list_people(photos))
    assert done.added.faces == 10
    assert [name for name, _ in done.left_out] == [
        str(photos / "person00/0.png"),
        str(photos / "person01/1.png"),
    ]
    assert "60x50" in done.left_out[1][1]
    with pytest.raises(DataError, match="cannot be read as a picture"):
        enrol_photos(gallery, reader, {"x": [str(photos / "person00/0.png")]})


def test_quality(gallery, reader, photos):
    people = list_people(photos)
    with pytest.raises(InputError, match="min_quality needs a calibration"):
        enrol_photos(gallery, reader, people, min_quality=0.5)
    norms = [reader.read(p)[0].norm for some in people.values() for p in some]
    middle = float(np.median(norms))
    shares = {"0.01": 0.0, "0.5": middle, "0.99": 2 * max(norms)}
    judged = FaceReader(reader.embedder, "none", norms=shares)
    done = enrol_photos(gallery, judged, people, min_quality=0.5)
    assert done.added.faces == sum(norm >= middle for norm in norms)
    assert "below --min-quality" in done.left_out[0][1]
    weak = FaceReader(reader.embedder, "none", norms={"0.01": 2 * max(norms), "0.5": 3 * middle})
    done = enrol_photos(gallery, weak, people)
    assert done.added.faces == 0
    assert "its quality is too low (" in done.left_out[0][1]
    assert "weak" in done.left_out[0][1]
    done = enrol_photos(gallery, weak, people, force=True)
    assert len(gallery) == 12
    with pytest.raises(InputError, match="min_quality is 2"):
        enrol_photos(gallery, weak, people, min_quality=2)


def test_photographs_with_several_faces(tmp_path, reader):
    photo = np.full((300, 400, 3), 128, np.uint8)
    faces = people_images(2, 1)[:, 0]
    photo[20:132, 30:142], photo[20:132, 200:312] = faces
    path = tmp_path / "two.png"
    path.write_bytes(images.encode(photo, 101))
    finder = FaceReader(reader.embedder, Marked((30, 20, 112), (200, 20, 110)))
    gallery = Gallery.create(tmp_path / "g", reader.identity.to_dict(), input="marked 1")
    done = enrol_photos(gallery, finder, {"a": [str(path)]})
    assert "two.png has a second face" in done.warnings[0]
    assert len(identify_photo(gallery, finder, path)) == 2
    path.write_bytes(path.read_bytes() + b"\0")  # another picture
    with pytest.raises(DataError, match="has 2 faces; one was expected"):
        enrol_photos(gallery, finder, {"a": [str(path)]}, several="refuse")
    nobody = FaceReader(reader.embedder, Marked())
    nobody.input = "marked 1"
    assert identify_photo(gallery, nobody, path) == []
    with pytest.raises(DataError, match=r"no face was found in two\.png"):
        enrol_photos(gallery, nobody, {"a": [str(path)]})


def test_another_model(tmp_path, reader, photos):
    gallery = Gallery.create(tmp_path / "g", {**MODEL, "embedding_size": 1})
    for work in (
        lambda: enrol_photos(gallery, reader, list_people(photos)),
        lambda: identify_photo(gallery, reader, photos / "person00/0.png"),
    ):
        with pytest.raises(InputError, match=r"holds embeddings of tiny .*, not of small"):
            work()


def test_who_is_on_what(tmp_path, photos):
    assert list(list_people(photos)) == [f"person{n:02d}" for n in range(4)]
    assert list_people(photos / "person00", "Ann") == {
        "Ann": [str(photos / f"person00/{n}.png") for n in range(3)]
    }
    table = tmp_path / "names.csv"
    table.write_text("cluster,name\nperson00,Ann\nperson01,\nperson02,Ann\n")
    assert {k: len(v) for k, v in list_people(photos, names=table).items()} == {"Ann": 6}
    table.write_text("cluster,name\nother,Ann\n")
    with pytest.raises(InputError, match="names none of the folders"):
        list_people(photos, names=table)
    table.write_text("a,b\na,c\n")
    with pytest.raises(DataError, match="line 2: 'a,c'; expected FOLDER,NAME"):
        list_people(photos, names=table)
    with pytest.raises(InputError, match="person and names were both given"):
        list_people(photos, "Ann", table)
    with pytest.raises(InputError, match=r"who is on .*Give --person NAME"):
        list_people(photos / "person00/0.png")
    with pytest.raises(InputError, match="there is no picture or folder"):
        find_pictures(tmp_path / "none.jpg")
    with pytest.raises(InputError, match=r"names\.csv is no picture"):
        find_pictures(table)
