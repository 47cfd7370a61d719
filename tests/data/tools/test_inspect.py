import json

import numpy as np
import pytest
from record_files import damage

from gluonface.cli import main
from gluonface.data import RecordWriter, VerificationPack, images
from gluonface.data.recordio import writer
from gluonface.data.recordio.record import frame, pack
from gluonface.data.tools import inspect
from gluonface.data.tools.inspect import inspect_pack, inspect_records


def test_good_set(made):
    found = inspect_records(made(num_classes=9).folder, progress=False)
    assert found["problems"] == found["broken"] == []
    assert (found["images"], found["identities"], found["num_classes"]) == (30, 6, 9)
    assert found["labels"] == [0, 5]
    assert found["images_each"] == {"least": 5, "median": 5, "mean": 5, "most": 5}
    assert (found["size"], found["grey"], found["duplicates"]) == ([16, 16], 0, 0)
    json.dumps(found)


def test_grey_and_copies(made, tmp_path):
    from gluonface.data import RecordWriter

    grey = images.encode(np.full((16, 16, 3), 77, np.uint8), 101)
    with RecordWriter(tmp_path / "set") as writer:
        for label in (0, 0, 0, 3):
            writer.add(grey, label)
    found = inspect_records(tmp_path / "set", progress=False)
    assert (found["grey"], found["duplicates"], found["problems"]) == (4, 3, [])
    assert (found["identities"], found["num_classes"], found["labels"]) == (2, 4, [0, 3])
    assert found["images_each"] == {"least": 1, "median": 2, "mean": 2, "most": 3}
    assert found["identities_with"] == {1: 1, 3: 1}
    assert found["duplicate_groups"] == [{"records": [1, 2, 3, 4], "labels": [0, 0, 0, 3]}]
    assert found["known"] == []


def test_a_public_set_is_recognised(made, monkeypatch):
    from gluonface.data.catalog import CATALOG

    entry = CATALOG.get("casia-webface")
    monkeypatch.setattr(inspect, "recognise", lambda *counts: [entry] if counts == (6, 30) else [])
    assert inspect_records(made().folder, progress=False)["known"] == ["CASIA-WebFace"]


@pytest.fixture
def without_checksums(monkeypatch):
    """Sets as others write them."""
    monkeypatch.setattr(writer, "add_checksum", lambda payload: payload)


def test_a_checksum_tells_what_nothing_else_does(made):
    faces = made(people=6, each=5, quality=95)
    assert inspect_records(faces.folder, progress=False)["checksums"] == 30
    damage(faces, 7, b"\x55", skip=250)  # in the middle of a JPEG, where any byte is an image
    found = inspect_records(faces.folder, progress=False)
    assert found["broken"] == [7]
    assert "record 7 is not what its checksum says" in found["problems"][0]
    faces = made(people=6, each=5)
    damage(faces, 4, bytes(20), skip=12)  # label 0, and no checksum among records with one
    (problem,) = inspect_records(faces.folder, progress=False)["problems"]
    assert "1 records have no checksum and 29 have one; record 4 is damaged" in problem


def test_what_the_index_of_a_plain_file_lacks(tmp_path, without_checksums):
    with RecordWriter(tmp_path, plain=True) as writer:
        for n in range(5):
            writer.add(images.encode(np.full((16, 16, 3), 40 * n, np.uint8), 101), n % 3)
    assert inspect_records(tmp_path, progress=False)["problems"] == []
    lines = (tmp_path / "train.idx").read_text().splitlines(keepends=True)
    for gone, named in ((2, 1), (4, 3)):
        (tmp_path / "train.idx").write_text("".join(lines[:gone] + lines[gone + 1 :]))
        (problem,) = inspect_records(tmp_path, progress=False)["problems"]
        assert f"record {named} has " in problem
    (tmp_path / "train.idx").write_text("".join(lines[1:]))
    (problem,) = inspect_records(tmp_path, progress=False)["problems"]
    assert "begins at byte" in problem


def test_every_broken_record_is_named(made, without_checksums):
    faces = made(people=40, each=10)
    damage(faces, 7)
    damage(faces, 333)
    damage(faces, 222, b"\0\0\0\x41", skip=12)  # label 8.0 among images of label 22
    found = inspect_records(faces.folder, progress=False)
    assert found["broken"] == [7, 333]
    assert len(found["problems"]) == 3
    for key, problem in zip((7, 333, 222), found["problems"]):
        assert f"record {key} " in problem
    assert (
        "has the label 8, but its identity record groups it with label 22" in found["problems"][2]
    )


def test_packs(tmp_path):
    random = np.random.Generator(np.random.PCG64(0))
    data = [images.encode(image, 101) for image in random.integers(0, 256, (4, 9, 9, 3), np.uint8)]
    VerificationPack(data, [True, False]).save(tmp_path / "good.bin")
    found = inspect_pack(tmp_path / "good.bin")
    assert (found["pairs"], found["same"], found["different"]) == (2, 1, 1)
    assert found["problems"] == []
    VerificationPack([*data[:3], b"no image"], [True, True]).save(tmp_path / "bad.bin")
    problems = inspect_pack(tmp_path / "bad.bin")["problems"]
    assert len(problems) == 2
    assert "image 3" in problems[0]
    assert "same person" in problems[1]


@pytest.mark.parametrize("unwritable", [False, True])
def test_an_interrupted_look_goes_on(made, tmp_path, monkeypatch, unwritable):
    faces, notes = made(), tmp_path / "notes"
    damage(faces, 2)
    damage(faces, 28)
    whole = inspect_records(faces.folder, progress=False)
    monkeypatch.setattr(inspect, "CACHED", 10)
    if unwritable:
        notes.write_text("a file in the way")
    look, seen = inspect._inspect_images, []

    def interrupted(dataset, found, start, stop):
        seen.append(start)
        if start == 20 and len(seen) == 3:
            raise KeyboardInterrupt
        return look(dataset, found, start, stop)

    monkeypatch.setattr(inspect, "_inspect_images", interrupted)
    with pytest.raises(KeyboardInterrupt):
        inspect_records(faces.folder, progress=False, cache=notes)
    assert inspect_records(faces.folder, progress=False, cache=notes) == whole
    assert seen[3:] == ([0, 10, 20] if unwritable else [20])
    assert unwritable or list(notes.iterdir()) == []
    assert len(whole["broken"]) == 2


def test_inspect_command(made, tmp_path, capsys):
    faces = made()
    file, sheet = tmp_path / "found.json", tmp_path / "sheet.png"
    arguments = ["data", "inspect", str(faces.folder), "--json", str(file), "--sheet", str(sheet)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "identities   6 of 6 classes (labels 0 to 5)" in out
    assert "problems     none" in out
    assert json.loads(file.read_text())["images"] == 30
    assert sheet.exists()


def test_verify_command(made, tmp_path, capsys):
    faces = made()
    assert main(["data", "verify", str(faces.folder)]) == 0
    assert "made: good" in capsys.readouterr().out
    damage(faces, 3)
    assert main(["data", "verify", str(faces.folder), str(made(folder="b").folder)]) == 1
    out = capsys.readouterr().out
    assert "made: 1 problem\n" in out
    assert "record 3 at byte" in out
    assert "b: good" in out
    (faces.folder / "train.idx").unlink()
    assert main(["data", "verify", str(faces.folder)]) == 1
    assert "train.idx is missing" in capsys.readouterr().out
    assert main(["data", "verify", str(tmp_path / "nowhere")]) == 2


@pytest.mark.parametrize("label", [float("nan"), 7.0])
def test_labels_that_property_does_not_know(tmp_path, label):
    image = images.encode(np.zeros((8, 8, 3), np.uint8), 101)
    records = [frame(pack(0.0, 0, image)), frame(pack(label, 1, image))]
    (tmp_path / "train.rec").write_bytes(b"".join(records))
    (tmp_path / "train.idx").write_text(f"0\t0\n1\t{len(records[0])}\n")
    (tmp_path / "property").write_text("2,8,8")
    found = inspect_records(tmp_path, progress=False)
    assert found["broken"] == [1]
    assert len(found["problems"]) == 1
    assert f"record 1 has the label {label:g}" in found["problems"][0]
