import os
import pathlib
import random
import resource
import sqlite3
import subprocess
import sys
import time

import gallery_files
import mutations
import numpy as np
import pytest
from gallery_files import MODEL, content, faces, make_gallery

from gluonface.errors import DataError, InputError
from gluonface.recognition import Gallery
from gluonface.recognition import gallery as module
from gluonface.recognition.gallery import EnrolledFace, make_templates


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.gallery"


def test_what_is_written_is_read(path, rng):
    gallery = make_gallery(path, flip="none", template="mean", calibration={"a": 1})
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert content(Gallery(path)) == content(gallery)
    gallery.add([("p1", faces(rng, 2)), ("Zoë", faces(rng, 1))])
    gallery.rename("p0", "anna")
    gallery.remove("p2")
    gallery.set_about("check", {"points": []})
    found = Gallery.open(path)
    assert content(found) == content(gallery)
    assert found.counts() == {"Zoë": 1, "anna": 3, "p1": 5}
    assert found.about["flip"] == "none"
    assert found.about["calibration"] == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_file_is_that_of_the_design(path):
    make_gallery(path)
    with sqlite3.connect(path) as db:
        ((application,),) = db.execute("PRAGMA application_id")
        assert application == 0x67666731
        assert db.execute("PRAGMA user_version").fetchall() == [(1,)]
        columns = {t: [row[1] for row in db.execute(f"PRAGMA table_info({t})")]
                   for t in ("about", "person", "face")}  # fmt: skip
        assert columns["about"] == ["key", "value"]
        assert columns["person"] == ["id", "name"]
        assert columns["face"] == [
            *("id", "person", "output", "crc", "norm", "picture", "picture_sha256", "box"),
            *("quality", "added"),
        ]
        output, norm = db.execute("SELECT output, norm FROM face WHERE id = 1").fetchone()
        assert np.linalg.norm(np.frombuffer(output, "<f4")) == pytest.approx(norm)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_removed_means_gone(path):
    gallery = make_gallery(path, 40, 10)
    rows = np.flatnonzero(gallery.person == 7)
    outputs = [gallery.outputs[row].tobytes() for row in rows]
    secrets = [*outputs, b"p6/", b"p6", *(gallery._rows[row][3].encode() for row in rows)]
    data = path.read_bytes()
    assert all(secret in data for secret in secrets)
    assert gallery.remove("p6") == 10
    data = path.read_bytes()
    assert not any(secret in data for secret in secrets)
    gallery.rename("p7", "somebody")
    assert b"p7" not in path.read_bytes().replace(b"p7/", b"")


def test_the_same_picture_and_the_same_name(path, rng):
    gallery = make_gallery(path)
    picture = gallery._rows[4]
    again = EnrolledFace(rng.standard_normal(16), "copy.jpg", picture[3])
    new = faces(rng, 1)
    done = gallery.add([("p0", [again, *new]), ("q", [*new, *faces(rng, 1)])])
    assert (done.people, done.faces, done.known) == (1, 2, {"p0": 3})
    assert done.skipped == [("copy.jpg", "p1"), ("x/0.jpg", "p0")]
    assert gallery.add([("nobody", [again])]).people == 0
    assert "nobody" not in Gallery(path).names.values()
    with pytest.raises(InputError, match=r"'p1' is in .* already; two people need two names"):
        gallery.rename("p0", "p1")
    with pytest.raises(InputError, match=r"there is no 'p00' in .*; the nearest name is 'p0'"):
        gallery.remove("p00")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a\nb", "x" * 201, "\ud800", None, 3, "\0"])
def test_names_that_cannot_be(path, rng, name):
    gallery = make_gallery(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="is no name of a person"):
        gallery.add([("good", faces(rng, 1)), (name, faces(rng, 1))])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "output", [np.zeros(16), np.full(16, np.nan), np.full(16, 1e300), np.ones(8), np.ones((16, 1))]
)
def test_outputs_that_cannot_be(path, output):
    gallery = make_gallery(path)
    with pytest.raises(InputError, match=r"the output for a\.jpg of p9"):
        gallery.add([("p9", [EnrolledFace(output, "a.jpg")])])
    assert content(Gallery(path)) == content(gallery)


def test_names_are_equal_however_they_are_composed(path, rng):
    gallery = make_gallery(path)
    gallery.add([("Zoe\u0308", faces(rng, 1))])
    assert gallery.add([("Zoë", faces(rng, 1))]).known == {"Zoë": 1}
    assert gallery.remove("Zoe\u0308") == 2


def test_a_file_name_that_is_no_text(path, rng):
    gallery = make_gallery(path)
    gallery.add([("q", [EnrolledFace(rng.standard_normal(16), os.fsdecode(b"a/\xff.jpg"))])])
    assert Gallery(path).pictures[-1] == r"a/\udcff.jpg"


def test_another_model_flip_or_detector(path):
    gallery = make_gallery(path)
    gallery.require_model(MODEL, "sum", "crops")
    gallery.require_model({"name": "x", "sha256": {"onnx": "cd" * 32, "params": "ab" * 32}})
    other = {"name": "tiny-int8", "sha256": {"int8": "cd" * 32}}
    with pytest.raises(InputError) as error:
        gallery.require_model(other)
    assert f"holds embeddings of tiny (sha256 {'ab' * 6}...), not of tiny-int8" in str(error.value)
    with pytest.raises(InputError, match="with flip 'sum', not 'none'"):
        gallery.require_model(MODEL, "none")
    with pytest.raises(InputError, match="cut out by 'crops', not by 'mtcnn'"):
        gallery.require_model(MODEL, "sum", "mtcnn")


def test_making_one(path, tmp_path):
    make_gallery(path)
    with pytest.raises(InputError, match="is there already"):
        make_gallery(path)
    with pytest.raises(InputError, match=r"no/g cannot be written"):
        Gallery.create(tmp_path / "no" / "g", MODEL)
    with pytest.raises(InputError, match="random weights"):
        Gallery.create(tmp_path / "g", {**MODEL, "sha256": {}})
    with pytest.raises(InputError, match="template is 'median'"):
        Gallery.create(tmp_path / "g", MODEL, template="median")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with pytest.raises(InputError, match="there is no gallery"):
        Gallery.open(tmp_path / "g")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda db: db.execute("UPDATE face SET output = zeroblob(64) WHERE id = 4"), "face 4"),
        (lambda db: db.execute("UPDATE face SET output = x'00' WHERE id = 4"), "face 4"),
        (lambda db: db.execute("UPDATE face SET person = 2 WHERE id = 1"), "face 1"),
        (lambda db: db.execute("UPDATE person SET name = 'eve' WHERE id = 1"), "do not add up"),
        (lambda db: db.execute("DELETE FROM face WHERE id = 1"), "do not add up"),
        (lambda db: db.execute("DELETE FROM person WHERE id = 1"), "of person 1, who is not in it"),
        (lambda db: db.execute("UPDATE face SET picture = 3.5 WHERE id = 2"), "do not add up"),
        (lambda db: db.execute("UPDATE face SET norm = 'x' WHERE id = 2"), "of another type"),
        (lambda db: db.execute("UPDATE about SET value = '{' WHERE key = 'model'"), "its model"),
        (lambda db: db.execute("DELETE FROM about WHERE key = 'flip'"), "its model"),
        (lambda db: db.execute("CREATE TABLE more(x)"), "its tables"),
        (lambda db: db.execute("DROP INDEX face_person"), "its tables"),
        (lambda db: db.execute("PRAGMA user_version = 2"), "version 2; expected 1"),
        (lambda db: db.execute("PRAGMA application_id = 7"), "no gallery of gluonface"),
        (lambda db: db.execute("PRAGMA journal_mode = WAL"), "its journal"),
    ],
)
def test_changed_by_somebody_else(path, change, text):
    make_gallery(path)
    db = sqlite3.connect(path, isolation_level=None)
    change(db)
    db.close()
    with pytest.raises(DataError, match=text) as error:
        Gallery.open(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0", b"PK\3\4" + bytes(200), bytes(5000)])
def test_no_gallery(path, data):
    path.write_bytes(data)
    with pytest.raises(DataError, match="is no gallery: it is not a file of SQLite"):
        Gallery.open(path)


def test_locked(path, rng, monkeypatch):
    monkeypatch.setattr(module, "WAIT", 0.05)
    gallery = make_gallery(path)
    code = (
        "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "db.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(DataError, match=f"is locked: process {other.pid} uses it"):
            gallery.add([("q", faces(rng, 1))])
        with pytest.raises(DataError, match="is locked"):
            Gallery.open(path)
        other.kill()
    assert gallery.add([("q", faces(rng, 1))]).faces == 1


@pytest.mark.parametrize("size", [0, 1, 3000, 9000, 50_000])
def test_a_file_that_may_not_grow_is_one_error_and_stays_as_it_is(path, rng, size):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limited(function):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            with pytest.raises(DataError, match=f"^{path} cannot be written or read"):
                function()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    if size < 20_000:
        limited(lambda: make_gallery(path))
        assert not list(path.parent.iterdir())
    gallery = make_gallery(path)
    before = content(gallery)
    many = faces(rng, 1000)
    limited(lambda: gallery.add([("q", many)]))
    assert content(Gallery(path)) == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert gallery.add([("q", many)]).faces == 1000


def test_read_only(path, rng):
    gallery = make_gallery(path)
    path.chmod(0o400)
    for change in (lambda: gallery.add([("q", faces(rng, 1))]), lambda: gallery.remove("p0"),
                   lambda: gallery.rename("p0", "x"),
                   lambda: gallery.set_about("check", None)):  # fmt: skip
        with pytest.raises(DataError, match="is read-only; nothing was changed"):
            change()
    assert content(Gallery.open(path)) == content(gallery)


def test_two_writers_and_a_reader(path, rng):
    one = make_gallery(path)
    two, reader = Gallery.open(path), Gallery.open(path)
    one.add([("a", faces(rng, 2))])
    two.add([("b", faces(rng, 3))])
    one.remove("b")
    assert reader.counts() == {"p0": 3, "p1": 3, "p2": 3}  # what it loaded
    assert content(Gallery.open(path)) == content(one)
    with pytest.raises(InputError, match="there is no 'b'"):
        two.remove("b")


@pytest.mark.parametrize("template", ["sum", "mean", "max"])
def test_templates_and_search(path, rng, template):
    gallery = make_gallery(path, 9, 4, template=template)
    outputs = gallery.outputs * rng.uniform(0.5, 2, (len(gallery), 1)).astype(np.float32)
    people, templates = make_templates(outputs, gallery.person, template, np.float64)
    probes = rng.standard_normal((6, 16))
    unit = probes / np.linalg.norm(probes, axis=1, keepdims=True)
    own = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    for number in range(1, 10):
        rows = gallery.person == number
        expected = {"sum": outputs[rows].sum(axis=0), "mean": own[rows].sum(axis=0)}
        if template in expected:
            right = expected[template] / np.linalg.norm(expected[template])
            np.testing.assert_allclose(templates[people == number][0], right, atol=1e-6)
        else:
            np.testing.assert_allclose(templates[people == number], own[rows], atol=1e-6)
    people, templates = gallery.templates()
    for probe, found in zip(unit, gallery.search(probes, 4)):
        best = {}
        for number, score in zip(people.tolist(), (templates @ probe).tolist()):
            best[number] = max(score, best.get(number, -2))
        right = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:4]
        assert [name for name, _ in found] == [gallery.names[n] for n, _ in right]
        np.testing.assert_allclose([s for _, s in found], [s for _, s in right], atol=1e-6)


def test_search_of_nothing(path, tmp_path):
    gallery = make_gallery(path)
    with pytest.raises(InputError, match="have 5 values"):
        gallery.search(np.ones((1, 5)))
    with pytest.raises(InputError, match="top is 0"):
        gallery.search(np.ones((1, 16)), 0)
    assert Gallery.create(tmp_path / "empty", MODEL).search(np.ones((2, 16))) == [[], []]


def kill(path, moments, seed):
    """Kill a process that enrols and removes at random moments; the gallery holds whole people."""
    rng = random.Random(seed)
    made, changed = make_gallery(path, 6, 7), 0
    root = pathlib.Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"}
    for moment in range(moments):
        worker = subprocess.Popen(
            [sys.executable, gallery_files.__file__, str(path), str(seed * 1000 + moment)],
            env=environment,
        )
        before = path.read_bytes()
        while path.read_bytes() == before and worker.poll() is None:
            time.sleep(0.002)  # until it is at work
        time.sleep(rng.uniform(0, 0.05))
        worker.kill()
        assert worker.wait() == -9
        found = Gallery.open(path)
        assert set(found.counts().values()) == {7}
        assert len(found) == 7 * len(found.names)
        changed += content(found) != content(made)
        made = found
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return changed


def test_killed_at_a_few_moments(path):
    kill(path, 3, 1)


@pytest.mark.slow
def test_killed_at_200_moments(path):
    assert kill(path, 200, 2) > 100


def test_damaged_files(tmp_path):
    outcome = mutations.run("gallery_files", "gallery", 40, tmp_path)
    assert outcome.problems == []
    assert outcome.refused > 20


@pytest.mark.slow
def test_1000_damaged_files(tmp_path):
    outcome = mutations.run("gallery_files", "gallery", 500, tmp_path)
    assert outcome.problems == []
    assert outcome.refused + outcome.read == 1000
