import csv
import os
import pathlib

import numpy as np
import pytest

from gluonface.data import images
from gluonface.errors import InputError
from gluonface.recognition.clustering import clusters
from gluonface.recognition.clustering.cluster_folder import GraphFiles, write_clusters
from gluonface.recognition.clustering.face_source import FaceList, FoundFace


def faces(folder=None, people=4, count=5):
    rng = np.random.default_rng(0)
    outputs = rng.standard_normal((people, 1, 16)) + 0.2 * rng.standard_normal((people, count, 16))
    found = [FoundFace(f"p{n}/{k}.png", 1) for n in range(people) for k in range(count)]
    found[0] = FoundFace("p0/0.png", 1, "weak")
    outputs = outputs.reshape(-1, 16).astype(np.float32)
    return FaceList(found, outputs, folder, [], None, None)


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(1)
    for face in faces().faces:
        path = tmp_path / "photos" / face.picture
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.encode(rng.integers(0, 256, (112, 112, 3), np.uint8), 101))
    return tmp_path / "photos"


def write(out, held, **words):
    return write_clusters(out, lambda work: held, lambda count: 0.5, lambda f: {"a": "b"}, **words)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_what_is_written(tmp_path, pictures):
    out = tmp_path / "out"
    result = write(out, faces(pictures), links="link")
    assert result.clustering.sizes.tolist() == [5, 5, 5, 4]
    head, *table = rows(out / "clusters.csv")
    assert head == ["image", "face", "cluster", "score", "note"]
    assert table[0] == ["p0/0.png", "1", "", "", "weak"]
    assert [row[2] for row in table] == [""] + ["4"] * 4 + ["1"] * 5 + ["2"] * 5 + ["3"] * 5
    assert float(table[7][3]) == pytest.approx(result.clustering.score[7], abs=1e-6)
    assert rows(out / "names.csv") == [
        ["cluster", "name"],
        *([f"000{n}", ""] for n in (1, 2, 3, 4)),
    ]
    assert sorted(p.name for p in out.iterdir()) == [
        *("0001", "0002", "0003", "0004", "clusters.csv", "index.html", "names.csv")
    ]
    link = out / "0001/p1-0.png"
    assert link.is_symlink()
    assert link.resolve() == pictures / "p1/0.png"
    page = (out / "index.html").read_text()
    assert page.count("<img") == 20
    assert page.count('class="marked"') == 4
    assert "most doubtful" in page
    assert "Not grouped" in page
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def test_copies_and_names(tmp_path, pictures):
    def name(sums):
        assert sums.shape == (4, 16)
        return ["Ann <b>", "", "Bo", ""]

    write(tmp_path / "out", faces(pictures), links="copy", name_clusters=name)
    copy = tmp_path / "out/0001/p1-0.png"
    assert not copy.is_symlink()
    assert copy.read_bytes() == (pictures / "p1/0.png").read_bytes()
    assert rows(tmp_path / "out/names.csv")[1:3] == [["0001", "Ann <b>"], ["0002", ""]]
    assert "1: Ann &lt;b&gt;" in (tmp_path / "out/index.html").read_text()


def test_equal_bytes_and_interrupted_work(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(clusters, "QUERIES", 6)
    held = faces(pictures)
    write(tmp_path / "a", held)
    calls, real = [], clusters.nearest

    def stop(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(clusters, "nearest", stop)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "b", held)
    assert not (tmp_path / "b").exists()
    write(tmp_path / "b", held, rows=256)
    assert len(calls) == 3 + 2  # of four blocks two were there
    for name in ("clusters.csv", "names.csv", "index.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_bad_input(tmp_path, pictures):
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="is there already"):
        write(tmp_path / "there", faces())
    with pytest.raises(InputError, match="have no pictures to link to"):
        write(tmp_path / "out", faces(), links="link")
    with pytest.raises(InputError, match="links is 'hard'"):
        write(tmp_path / "out", faces(pictures), links="hard")


def test_graph_files(tmp_path):
    files = GraphFiles(tmp_path, "key")
    block = np.arange(3), np.arange(3) + 1, np.ones(3)
    files["7"] = block
    assert "7" in files
    assert list(files) == ["7"]
    assert len(GraphFiles(tmp_path, "other")) == 0
    np.testing.assert_array_equal(files["7"][1], block[1])
    next(tmp_path.glob("graph-*")).write_bytes(b"half")
    assert files.get("7") is None
    files["7"] = block
    del files["7"]
    assert not any(pathlib.Path(tmp_path).iterdir())
