"""Faces in every form through the commands that take them."""

import csv
import json
import tarfile

import numpy as np
import pytest
from face_forms import FORMS, TABLES, add, folders, webdataset, zipped
from record_files import picture

from gluonface.cli import main
from gluonface.data import RecordDataset, images

FACES = [(p, images.encode(picture(n, 112), 101)) for n, p in enumerate(("p2", "p10", "p2", "p3"))]
MODEL = "mobilefacenet:untrained"


@pytest.fixture(params=FORMS)
def form(request, tmp_path):
    if request.param in TABLES:
        pytest.importorskip("pyarrow" if request.param != "lmdb" else "lmdb")
    write, name, _ = FORMS[request.param]
    return write(tmp_path / "x", FACES), name


def table(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_pack_and_inspect(form, tmp_path, capsys):
    path, name = form
    assert main(["data", "pack", str(path), str(tmp_path / "set")]) == 0
    dataset = RecordDataset(tmp_path / "set")
    numbers = ("2", "3", "10")
    rows = [[str(i), name.replace("2", number)] for i, number in enumerate(numbers)]
    assert table(tmp_path / "set" / "identities.csv") == [["identity", "name"], *rows]
    found = sorted((int(dataset.labels[i]), dataset.read(i)) for i in range(4))
    assert found == sorted((numbers.index(person[1:]), data) for person, data in FACES)
    report, sheet = tmp_path / "found.json", tmp_path / "sheet.png"
    words = ["data", "inspect", str(path), "--json", str(report), "--sheet", str(sheet)]
    assert main(words) == 0
    value = json.loads(report.read_text())
    assert (value["images"], value["identities"], value["problems"]) == (4, 3, [])
    assert sheet.stat().st_size > 10_000
    assert "identities" in capsys.readouterr().out


def test_the_source_can_only_be_read_in_its_order(tmp_path, caplog):
    path = FORMS["tar.gz"][0](tmp_path / "x", FACES)
    assert main(["data", "pack", str(path), str(tmp_path / "plain")]) == 0
    assert "written without identity records" in caplog.text
    plain = RecordDataset(tmp_path / "plain")
    assert plain.labels.tolist() == [0, 2, 0, 1]
    assert main(["data", "pack", str(tmp_path / "plain"), str(tmp_path / "sorted")]) == 0
    assert RecordDataset(tmp_path / "sorted").labels.tolist() == [0, 0, 1, 2]
    caplog.clear()
    path = FORMS["tar.gz"][0](tmp_path / "y", sorted(FACES))
    assert main(["data", "pack", str(path), str(tmp_path / "grouped")]) == 0
    assert caplog.text == ""


def test_two_readings_in_every_command(tmp_path, capsys, caplog):
    path = folders(tmp_path / "tree", [(f"{g}/{p}", d) for g, (p, d) in zip("abab", FACES)])
    zipped(tmp_path / "tree", [(f"{g}/{p}", d) for g, (p, d) in zip("abab", FACES)])
    npz = tmp_path / "e.npz"
    for source in (path, tmp_path / "tree.zip"):
        for words in (
            ["data", "pack", source, tmp_path / "set"],
            ["data", "inspect", source],
            ["embed", "--model", MODEL, "--input", source, "--out", npz],
            ["eval", "folder", "--model", MODEL, "--images", source],
        ):
            assert main([str(word) for word in words]) == 2, words
            error = capsys.readouterr().err
            assert "there are 2 identities" in error
            assert "by the last folder 3" in error
            assert "--person first or --person last" in error
    landmarks = "".join(f"{n} 30 40 80 40 55 65 35 90 75 90\n" for n in photos(path))
    (tmp_path / "points.txt").write_text(landmarks)
    words = ["data", "align", path, tmp_path / "crops", "--landmarks", tmp_path / "points.txt"]
    assert main([str(word) for word in words]) == 0
    assert "by the first folder there are 2 people, by the last folder 3" in caplog.text
    words = ["data", "pack", path, tmp_path / "set", "--person", "last"]
    assert main([str(word) for word in words]) == 0
    assert table(tmp_path / "set" / "identities.csv")[1:] == [
        ["0", "a/p2", "a"], ["1", "b/p3", "b"], ["2", "b/p10", "b"]
    ]  # fmt: skip


def photos(path):
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*.png"))


def test_embed_and_eval_folder(tmp_path, capsys):
    path = zipped(tmp_path / "x", FACES)
    npz, report = tmp_path / "e.npz", tmp_path / "r.json"
    assert main(["embed", "--model", MODEL, "--input", str(path), "--out", str(npz)]) == 0
    with np.load(npz) as arrays:
        assert arrays["identity"].tolist() == ["p2", "p10", "p2", "p3"]
        assert arrays["path"].tolist() == ["p2/0.png", "p10/1.png", "p2/2.png", "p3/3.png"]
        kept = {name: arrays[name] for name in arrays.files}
    words = ["eval", "folder", "--no-cache", "--json", str(report)]
    assert main([*words, "--model", MODEL, "--images", str(path)]) == 0
    value = json.loads(report.read_text())["results"][0]
    assert (value["counts"]["images"], value["counts"]["identities"]) == (4, 3)
    assert main(["eval", "folder", "--embeddings", str(npz), "--json", str(report)]) == 0
    assert json.loads(report.read_text())["results"][0]["counts"] == value["counts"]
    kept.pop("identity")
    kept["path"] = np.array(["a/p2/0.png", "a/p10/1.png", "b/p2/2.png", "b/p3/3.png"])
    np.savez(npz, **kept)
    assert main(["eval", "folder", "--embeddings", str(npz)]) == 2
    assert "by the last folder 4" in capsys.readouterr().err
    assert main(["eval", "folder", "--embeddings", str(npz), "--person", "first"]) == 0


def test_landmarks_of_a_list_and_photographs_in_other_forms(tmp_path):
    folders(tmp_path / "photos", FACES)
    points = "30 40 80 40 55 65 35 90 75 90"
    lines = [f"{p}/{n}.png {70 + n % 2} {points}\n" for n, (p, _) in enumerate(FACES)]
    (tmp_path / "list.txt").write_text("".join(lines))
    words = ["data", "align", str(tmp_path / "list.txt"), str(tmp_path / "a")]
    assert main([*words, "--root", str(tmp_path / "photos")]) == 0
    crops = sorted(
        f.relative_to(tmp_path / "a").as_posix() for f in (tmp_path / "a").rglob("*.jpg")
    )
    assert [crop.split("/")[0] for crop in crops] == ["70", "70", "71", "71"]  # the list's labels
    assert images.decode((tmp_path / "a" / crops[0]).read_bytes()).shape == (112, 112, 3)
    path = webdataset(tmp_path / "x", FACES)
    names = ["p10/00000001", "p2/00000000", "p2/00000002", "p3/00000003"]
    (tmp_path / "points.txt").write_text("".join(f"{name} {points}\n" for name in names))
    words = ["data", "align", str(path), str(tmp_path / "b")]
    assert main([*words, "--landmarks", str(tmp_path / "points.txt")]) == 0
    made = sorted(f.relative_to(tmp_path / "b").as_posix() for f in (tmp_path / "b").rglob("*.jpg"))
    assert made == [f"{name}.jpg" for name in names]


def test_several_files_are_one_set(tmp_path):
    for number in range(3):
        with tarfile.open(tmp_path / f"x-{number:04d}.tar", "w") as archive:
            add(archive, "0.png", FACES[number][1])
            add(archive, "0.cls", FACES[number][0].encode())
    shards = [str(tmp_path / f"x-{number:04d}.tar") for number in range(3)]
    for words in (shards, [f"{tmp_path}/x-{{0000..0002}}.tar"], [f"{tmp_path}/x-*.tar"]):
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        assert main(["data", "pack", *words, str(out)]) == 0
        assert RecordDataset(out).labels.tolist() == [0, 0, 1]


def test_what_is_found_wrong_is_named(tmp_path, capsys):
    path = zipped(tmp_path / "x", [*FACES, ("p9", FACES[0][1][:500])])
    assert main(["data", "inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "problems     1" in out
    assert "x.zip: p9/4.png" in out
    assert main(["data", "pack", str(path), str(tmp_path / "set")]) == 0
    assert table(tmp_path / "set" / "left_out.csv")[1][0].endswith("x.zip: p9/4.png")
