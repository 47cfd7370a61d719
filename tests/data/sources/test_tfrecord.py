"""Faces in TFRecord."""

import numpy as np
import pytest
from face_forms import FACES, example, framed, numbered, tface
from record_files import picture, png

from gluonface.data import images
from gluonface.data.sources import open_source
from gluonface.errors import DataError, InputError


def write(path, *records):
    path.write_bytes(b"".join(map(framed, records)))
    return path


@pytest.mark.parametrize(
    "features",
    [
        lambda k, d: {"image__encoded": d, "image__source_id": k, "image__filename": b"x.jpg"},
        lambda k, d: {"image_raw": d, "label": k},
        lambda k, d: {"image": d, "label": str(k).encode()},
        lambda k, d: {"photo": d, "target": k},  # the image is the one that begins as one
    ],
)
def test_names_of_features(features, tmp_path):
    faces = numbered(FACES)
    path = write(tmp_path / "x", *(example(**features(label, data)) for label, data in faces))
    source = open_source(path)
    assert [(source.identity(i), source.read(i)) for i in range(5)] == [
        (str(k), d) for k, d in faces
    ]


def test_bare_pixels_are_bgr(tmp_path):
    pixels = picture(1, 112)
    record = example(image_raw=pixels[..., ::-1].tobytes(), label=4)
    data = open_source(write(tmp_path / "x.tfrecords", record)).read(0)
    assert data[:4] == b"\x89PNG"
    assert np.array_equal(images.decode(data), pixels)


def test_columns_that_the_user_names(tmp_path):
    record = example(a=png(), b=png(1), who=7, other=8)
    with pytest.raises(InputError, match=r"have a, b, who, other; no image|no label"):
        open_source(write(tmp_path / "x", record))
    source = open_source(tmp_path / "x", columns={"image": "b", "identity": "who"})
    assert (source.read(0), source.identity(0)) == (png(1), "7")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (example(image__img_path=b"a/1.jpg", label=3), "no image is among them"),
        (example(image=png()), "no label. Of TFace's sets name the list"),
        (example(image=png(), name=b"x", person=b"y"), "person and name may be the identity"),
        (b"\xff\xff", "x: the record at byte 0"),
    ],
)
def test_records_that_are_refused(record, message, tmp_path):
    with pytest.raises((InputError, DataError), match=message):
        open_source(write(tmp_path / "x", record))


def test_several_files(tmp_path):
    write(tmp_path / "a-00000-of-00002.tfrecord", example(image=png(), label=3))
    write(tmp_path / "a-00001-of-00002.tfrecord", example(image=png(1), label=3))
    source = open_source(tmp_path)
    assert (len(source), source.num_identities) == (2, 1)
    (tmp_path / "a-00001-of-00002.tfrecord").unlink()
    with pytest.raises(InputError, match=r"00001-of-00002\.tfrecord is missing"):
        open_source(tmp_path)


def test_a_list_leaves_records_out_and_lies_elsewhere(tmp_path):
    path = tface(tmp_path / "faces")
    lines = path.read_text().splitlines()
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "few.txt").write_text("\n".join(lines[3:]))
    with pytest.raises(InputError, match=r"toy-00001\.tfrecord is not there; --root DIR"):
        open_source(tmp_path / "lists" / "few.txt")
    source = open_source(tmp_path / "lists" / "few.txt", root=tmp_path)
    assert [source.read(i) for i in range(2)] == [data for _, data in FACES[3:]]
    with pytest.raises(InputError, match=r"no label\. Of TFace's sets name the list"):
        open_source(tmp_path / "toy")


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("toy\t9\t0\t4", InputError, "toy-00009"),
        ("../toy\t0\t0\t4", DataError, "the name of a folder"),
        ("toy\t0\t7\t4", DataError, "checksum of the length at byte 7"),
        ("toy\t0\t99999999\t4", DataError, "cut short"),
        ("toy\t0\t0\t-1", DataError, "lists no images"),
    ],
)
def test_lists_that_are_refused(line, error, message, tmp_path):
    path = tface(tmp_path / "faces")
    path.write_text(line + "\n")
    with pytest.raises(error, match=message):
        open_source(path)


def test_a_damaged_record(tmp_path):
    path = write(tmp_path / "x", example(image=png(), label=3), example(image=png(1), label=3))
    whole = path.read_bytes()
    at = whole.rindex(b"IHDR")
    path.write_bytes(whole[:at] + b"X" + whole[at + 1 :])
    source = open_source(path)
    assert source.read(0) == png()
    with pytest.raises(DataError, match="its checksum is wrong"):
        source.read(1)
