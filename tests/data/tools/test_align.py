"""Aligning a folder: crops, report, resuming, and what goes wrong with photographs."""

import csv
import json
import os

import numpy as np
import pytest

from gluonface.data import images
from gluonface.data.alignment import TEMPLATE
from gluonface.data.detectors import Face
from gluonface.data.tools.align import align_photos
from gluonface.data.tools.journal import Journal
from gluonface.errors import InputError
from gluonface.files import FileLock


def photo(path, faces=1, seed=0):
    """Write a photograph whose first pixel tells the detector below how many faces it has."""
    image = np.random.default_rng(seed).integers(0, 256, (160, 240, 3), dtype=np.uint8)
    image[0, 0] = faces
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode(image, 101))
    return image


class Detector:
    """Finds as many faces as the first pixel says, the second one with little confidence."""

    def __init__(self):
        self.calls = 0

    def __call__(self, image):
        self.calls += 1
        return [
            Face(
                TEMPLATE + np.array([5.0 * n, 0.0]),
                (0.0, 0.0, 90.0 - n, 90.0),
                0.99 if n != 1 else 0.95,
            )
            for n in range(image[0, 0, 0])
        ]


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    for name, faces in (("ann/1.png", 1), ("ann/2.png", 2), ("bob/x.png", 0), ("bob/y.jpg", 1)):
        photo(root / name, faces, seed=len(name) + faces)
    (root / "bob" / "broken.jpg").write_bytes(b"no image")
    (root / "bob" / ".hidden.jpg").write_bytes(b"")
    (root / "bob" / "film.gif").write_bytes(b"GIF89a")
    (root / "cid").mkdir()
    return root


def rows(out):
    with open(out / "report.csv", encoding="utf-8", newline="") as file:
        return {row["photo"]: row for row in csv.DictReader(file)}


def test_each_photograph_is_in_the_report(photos, tmp_path):
    out = tmp_path / "out"
    counts = align_photos(photos, out, detector=Detector(), quality=101, progress=False)
    assert counts == {
        "photos": 5,
        "crops": 3,
        "aligned": 2,
        "several": 1,
        "skipped": 0,
        "no face": 1,
        "no landmarks": 0,
        "broken": 1,
        "passed over": 2,
    }
    found = rows(out)
    assert found["ann/2.png"]["faces"] == "2"
    assert found["ann/2.png"]["crops"] == "ann/2.png.png"
    assert "not a JPEG" in found["bob/broken.jpg"]["detail"]
    assert "convert it" in found["bob/film.gif"]["detail"]
    assert "empty folder" in found["cid"]["detail"]
    crop = images.decode((out / "ann" / "1.png.png").read_bytes())
    whole = images.decode((photos / "ann" / "1.png").read_bytes())
    np.testing.assert_array_equal(crop, whole[:112, :112])  # these landmarks are the template's


@pytest.mark.parametrize(("several", "crops"), [("skip", 2), ("all", 4), ("largest", 3)])
def test_several_faces(photos, tmp_path, several, crops):
    counts = align_photos(
        photos, tmp_path / "o", detector=Detector(), several=several, progress=False
    )
    assert counts["crops"] == crops


def test_uncertain_faces_are_passed_over(photos, tmp_path):
    counts = align_photos(
        photos, tmp_path / "o", detector=Detector(), confidence=0.97, progress=False
    )
    assert counts["several"] == 0
    assert counts["aligned"] == 3


def test_a_second_run_does_what_is_new(photos, tmp_path):
    out, detector = tmp_path / "out", Detector()
    align_photos(photos, out, detector=detector, progress=False)
    assert detector.calls == 4
    first = rows(out)
    photo(photos / "cat" / "1.jpg", 1)
    (out / "ann" / "1.png.jpg").unlink()  # a crop that somebody removed is made again
    align_photos(photos, out, detector=detector, progress=False)
    assert detector.calls == 6
    assert {**first, "cat/1.jpg": rows(out)["cat/1.jpg"]} == rows(out)
    align_photos(photos, out, detector=detector, several="all", progress=False)
    assert detector.calls == 6 + 5  # other settings begin anew


def test_no_crop_stays_that_is_not_in_the_report(photos, tmp_path):
    out = tmp_path / "out"

    def crops():
        return {p.relative_to(out).as_posix() for p in out.rglob("*.jpg")}

    align_photos(photos, out, detector=Detector(), several="all", progress=False)
    assert "ann/2.png_1.jpg" in crops()
    align_photos(photos, out, detector=Detector(), progress=False)
    assert crops() == {"ann/1.png.jpg", "ann/2.png.jpg", "bob/y.jpg"}
    (photos / "bob" / "y.jpg").unlink()
    align_photos(photos, out, detector=Detector(), progress=False)
    assert crops() == {"ann/1.png.jpg", "ann/2.png.jpg"}
    assert not (out / "bob").exists()


def test_no_two_photographs_share_a_crop(tmp_path):
    names = ["a.jpg", "a.png", "a.png.jpg", "a.JPG", "a_1.jpg", "b.jpg", "b_1.jpg"]
    for number, name in enumerate(names):
        photo(tmp_path / "p" / name, 2, seed=number)
    align_photos(tmp_path / "p", tmp_path / "o", detector=Detector(), several="all", progress=False)
    written = [crop for row in rows(tmp_path / "o").values() for crop in row["crops"].split(";")]
    assert len(set(written)) == len(written) == 14
    assert {p.name for p in (tmp_path / "o").glob("*.jpg")} == set(written)


def test_links_are_followed_and_circles_are_not(photos, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "ann").symlink_to(photos / "ann")
    (tmp_path / "linked" / "bob").mkdir()
    (tmp_path / "linked" / "bob" / "circle").symlink_to(tmp_path / "linked")
    (tmp_path / "linked" / "bob" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    counts = align_photos(tmp_path / "linked", tmp_path / "o", detector=Detector(), progress=False)
    assert (counts["photos"], counts["crops"], counts["broken"]) == (3, 2, 1)
    assert "No such file" in rows(tmp_path / "o")["bob/gone.jpg"]["detail"]


def test_a_full_disk_is_no_broken_photograph(photos, tmp_path, monkeypatch):
    from gluonface.data.tools import align as module

    def full(path):
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(module, "atomic_write", full)
        with pytest.raises(OSError, match="No space left"):
            align_photos(photos, tmp_path / "o", detector=Detector(), progress=False)
    counts = align_photos(photos, tmp_path / "o", detector=Detector(), progress=False)
    assert (counts["crops"], counts["broken"]) == (3, 1)


@pytest.mark.parametrize("form", ["blanks", "commas", "json"])
def test_landmarks_from_a_file(photos, tmp_path, form):
    points = {"ann/1.png": (TEMPLATE + 3).tolist(), "bob/y.jpg": TEMPLATE.tolist()}
    file = tmp_path / ("points.json" if form == "json" else "points.txt")
    if form == "json":
        file.write_text(json.dumps(points))
    else:
        between = "," if form == "commas" else " "
        lines = ["# photograph, landmarks, score"]
        for name, values in points.items():
            lines.append(between.join([name, *(str(v) for p in values for v in p), "0.98"]))
        file.write_text("\r\n".join(lines))
    counts = align_photos(photos, tmp_path / "o", landmarks=file, quality=101, progress=False)
    assert (counts["aligned"], counts["no landmarks"], counts["broken"]) == (2, 3, 0)
    crop = images.decode((tmp_path / "o" / "ann" / "1.png.png").read_bytes())
    whole = images.decode((photos / "ann" / "1.png").read_bytes())
    np.testing.assert_array_equal(crop, whole[3:115, 3:115])


def test_landmarks_outside_the_photograph(photos, tmp_path):
    file = tmp_path / "points.json"
    file.write_text(json.dumps({"ann/1.png": (TEMPLATE + 300).tolist()}))
    counts = align_photos(photos, tmp_path / "o", landmarks=file, progress=False)
    assert (counts["aligned"], counts["broken"]) == (0, 1)
    assert "lie outside" in rows(tmp_path / "o")["ann/1.png"]["detail"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"several": "first"}, "largest"),
        ({"confidence": 2}, "0 to 1"),
        ({"size": 4}, "16 to 4096"),
        ({"quality": 0}, "1 to 101"),
        ({"workers": 0}, "1 or more"),
        ({"out": "photos/bob/broken.jpg/x"}, "outside"),
        ({"out": "file"}, "is a file"),
        ({"out": "photos/sub"}, "outside"),
        ({"photos": "nothing"}, "is not there"),
    ],
)
def test_wrong_use(photos, tmp_path, change, message):
    (tmp_path / "file").write_text("")
    arguments = {"photos": "photos", "out": "o", "detector": Detector(), **change}
    for name in ("photos", "out"):
        arguments[name] = tmp_path / arguments[name]
    with pytest.raises(InputError, match=message):
        align_photos(**arguments, progress=False)


@pytest.mark.parametrize(
    "crop", ["../victim.png", "a/../../victim.png", "{root}/victim.png", "l/v"]
)
@pytest.mark.parametrize("same", [True, False])
def test_a_journal_cannot_name_files_outside(photos, tmp_path, caplog, crop, same):
    victim = tmp_path / "victim.png"
    victim.write_text("precious")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "v").write_text("precious")
    out = tmp_path / "out"
    align_photos(photos, out, detector=Detector(), progress=False)
    (out / "l").symlink_to(tmp_path / "elsewhere")
    text = (out / ".align.jsonl").read_text()
    settings = json.loads(text.split("\n")[0].split(" ", 1)[1])["settings"]
    row = json.loads(text.split("\n")[1].split(" ", 1)[1])["result"]
    with Journal(out / ".align.jsonl", settings) as journal:
        journal["gone.jpg"] = {**row, "crops": [crop.format(root=tmp_path)]}
    align_photos(
        photos, out, detector=Detector(), progress=False, several="largest" if same else "all"
    )
    assert victim.read_text() == "precious"
    assert (tmp_path / "elsewhere" / "v").read_text() == "precious"
    assert "which is not in this folder" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"crops": None}, {"crops": [1]}, {"crops": "a"}, {"result": "nonsense"}, {"photo": 3},
        {"faces": "many"}, {"confidence": []}, {"detail": None}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_rows_of_a_journal_with_another_form_are_made_again(photos, tmp_path, change):
    out, detector = tmp_path / "out", Detector()
    align_photos(photos, out, detector=detector, progress=False)
    before, report = detector.calls, (out / "report.csv").read_bytes()
    lines = (out / ".align.jsonl").read_text().splitlines()
    settings = json.loads(lines[0].split(" ", 1)[1])["settings"]
    rest = [json.loads(line.split(" ", 1)[1]) for line in lines[1:]]
    (out / ".align.jsonl").unlink()
    with Journal(out / ".align.jsonl", settings) as journal:
        journal.update({line["key"]: line["result"] for line in rest})
        journal[rest[0]["key"]] = {**rest[0]["result"], **change}
    text = (out / ".align.jsonl").read_text().splitlines(keepends=True)
    (out / ".align.jsonl").write_text("".join([text[0], *text[2:]]))
    align_photos(photos, out, detector=detector, progress=False)
    assert detector.calls == before + 1
    assert (out / "report.csv").read_bytes() == report


def test_crops_are_not_written_through_a_link(photos, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "ann").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"ann/1\.png\.jpg does not lie in .*out: a link"):
        align_photos(photos, tmp_path / "out", detector=Detector(), progress=False)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_a_killed_run_left_is_removed_and_a_living_one_is_named(photos, tmp_path):
    out = tmp_path / "out"
    (out / "ann").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (out / "link").symlink_to(tmp_path / "other")
    left = (out / ".report.csv.abcd_123.part", out / "ann" / ".1.png.jpg.0a1b2c3d.part")
    kept = (out / "ann" / ".notes.part", tmp_path / "other" / ".2.png.jpg.0a1b2c3d.part")
    for path in (*left, *kept):
        path.touch()
    living = FileLock(out / ".align.lock")
    assert living.acquire() is None
    with pytest.raises(InputError, match=f"is in use: process {os.getpid()} on "):
        align_photos(photos, out, detector=Detector(), progress=False)
    assert all(path.exists() for path in left)
    living.release()
    align_photos(photos, out, detector=Detector(), progress=False)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def test_detectors_and_turning_from_the_command_line(tmp_path, shared):
    """A photograph on its side is found with --turn alone; the crops are those of the upright."""
    from gluonface.cli import main
    from gluonface.data import RecordDataset

    dataset = RecordDataset(shared / "data" / "att")
    scene = np.full((260, 300, 3), 100, np.uint8)
    scene[70:182, 90:202] = dataset[0][0]
    for quarters in range(4):
        path = tmp_path / f"photos/p/{quarters}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.encode(np.ascontiguousarray(np.rot90(scene, quarters)), 100))
    yunet = f"yunet:{shared / 'data' / 'yunet' / 'yunet_n_640_640.onnx'}"
    words = ["data", "align", str(tmp_path / "photos"), str(tmp_path / "out"), "--quality", "101"]
    words += ["--detector", yunet, "--confidence", "0.85", "--json", str(tmp_path / "counts.json")]

    def crops():
        counts = json.loads((tmp_path / "counts.json").read_text())
        return counts["crops"], sorted(path.name for path in (tmp_path / "out/p").glob("*.png"))

    assert main(words) == 0
    few = crops()
    assert few[0] < 4
    assert main([*words, "--turn"]) == 0  # other settings: the crops are made again
    assert crops() == (4, ["0.png", "1.png", "2.png", "3.png"])
    found = [images.decode((tmp_path / f"out/p/{n}.png").read_bytes()) for n in range(4)]
    for crop in found[1:]:
        assert np.abs(crop.astype(int) - found[0]).mean() < 12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--detector", "none"], "give a detector or --landmarks"),
        (["--detector", "haar"], "detector 'haar' is unknown"),
        (["--landmarks", "x.txt", "--turn"], "leave out --detector and --turn"),
        (["--landmarks", "x.txt", "--detector", "mtcnn"], "leave out --detector and --turn"),
    ],
)
def test_detectors_that_do_not_fit(photos, tmp_path, capsys, words, said):
    from gluonface.cli import main

    assert main(["data", "align", str(photos), str(tmp_path / "out"), *words]) == 2
    assert said in capsys.readouterr().err


def test_a_name_that_is_too_long_for_its_crop_is_one_line(tmp_path):
    for name in ("x" * 246 + ".png", "y" * 251 + ".png", "z.png"):  # crops end with .jpg
        photo(tmp_path / "photos/ann" / name)
    found = align_photos(tmp_path / "photos", tmp_path / "out", detector=Detector(), progress=False)
    assert (found["photos"], found["crops"], found["broken"]) == (3, 2, 1)
    (row,) = [row for row in rows(tmp_path / "out").values() if row["result"] == "broken"]
    assert "name that is too long" in row["detail"]
