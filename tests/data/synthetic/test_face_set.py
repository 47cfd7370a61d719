"""Made-up faces: reproducible, apart by identity, readable, hard for raw pixels."""

import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from gluonface.cli import main
from gluonface.data import RecordDataset, VerificationPack
from gluonface.data.synthetic import face_set, traits
from gluonface.data.synthetic.drawing import LANDMARKS, draw_image
from gluonface.data.synthetic.face_set import draw_face, plan_pairs, synthesize
from gluonface.data.synthetic.hair import model_head
from gluonface.data.tools import staging_dir
from gluonface.errors import DataError, InputError
from gluonface.evaluation.metrics.folds import kfold_accuracy

SMALL = {"identities": 2, "images": 6, "test_identities": 40, "pairs": 300}
LEAST = {"identities": 2, "images": 2, "test_identities": 20, "pairs": 20}
FILES = {*face_set.FILES, "synthetic.json"}

# Grey means of 16 x 16 blocks of draw_face(seed, identity, image), row by row.
PINNED = {
    (0, 0, 0): (
        "272133301e312a4353667b9e642c8fbeafc19c793396b3a3b89d8c4792bbbba1ac7335"
        "51a3aca2963e2b2282978b702b27"
    ),
    (0, 1, 2): (
        "a17a0d2f181d919d466eafa33a769a4489ada3a653865376a695a84a65549f90c3bb3e"
        "71499a88c2b445b8718baac49c80"
    ),
    (1, 5, 3): (
        "43436991968f5f454589a8b0a372484f9eb9b2b6884b5c8bac8fae91484f988cb5ab88"
        "454673aba69f57434454757b7c48"
    ),
    (7, face_set.FIRST_TEST_IDENTITY + 4, 11): (
        "714552331f1b884c49482c1f1959446352563d39433d6b6b57554038355b5a44423930"
        "2c545a553d34342c3b4d44353539"
    ),
}


def digests(folder):
    return json.loads((folder / "synthetic.json").read_text())["files"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return (folder, summary) of a small set, drawn in this process."""
    folder = tmp_path_factory.mktemp("synthetic") / "set"
    return folder, synthesize(folder, **SMALL, workers=1, kfold_accuracy=kfold_accuracy)


@pytest.fixture(scope="module")
def least(tmp_path_factory):
    """Return the folder of the smallest set there is."""
    folder = tmp_path_factory.mktemp("synthetic") / "set"
    synthesize(folder, **LEAST, workers=1)
    return folder


def blocks(image):
    return image.astype(np.float64).mean(2).reshape(7, 16, 7, 16).mean((1, 3)).round()


@pytest.mark.parametrize("key", PINNED, ids=str)
def test_the_same_face_on_every_machine(key):
    expected = np.frombuffer(bytes.fromhex(PINNED[key]), np.uint8).reshape(7, 7)
    # another OpenCV may round an edge otherwise, which moves the mean of a block by less than this
    assert np.abs(blocks(draw_face(*key)) - expected).max() <= 2


def test_a_face_depends_on_its_numbers_alone():
    first = draw_face(3, 1, 4)
    assert first.shape == (112, 112, 3)
    assert first.dtype == np.uint8
    draw_face(3, 2, 4)
    np.testing.assert_array_equal(first, draw_face(3, 1, 4))
    for other in ((4, 1, 4), (3, 2, 4), (3, 1, 5)):
        assert np.abs(first.astype(int) - draw_face(*other)).mean() > 3


def test_every_kind_of_face_and_occlusion_can_be_drawn():
    seen = set()
    for number in range(len(traits.STYLES)):
        looks = traits.traits(0, number)
        looks.style = traits.STYLES[number]
        looks.beard = traits.BEARDS[number % len(traits.BEARDS)]
        head = model_head(looks)
        for occluder in traits.OCCLUDERS:
            scene = traits.conditions(0, number, 0)
            scene.occluder = occluder
            scene.glasses = traits.GLASSES[number % len(traits.GLASSES)]
            image = draw_image(head, scene)
            assert image.shape == (112, 112, 3)
            assert image.std() > 5  # something is there
            seen.add(image.tobytes())
    # a bald or close-cropped head has no strands of hair of its own: it gets the patch
    assert len(seen) == 4 * len(traits.STYLES) - 2


def test_features_are_where_an_aligned_crop_has_them():
    # the mean over many people, lit from all sides: eyes and mouth are dark places
    mean = np.mean([draw_face(0, who, 0) for who in range(48)], axis=0).mean(2)

    def darker(x, y, dx, dy):
        spot = mean[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4].mean()
        x, y = x + dx, y + dy
        return spot < mean[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4].mean() - 5

    left, right, _, *corners = LANDMARKS
    assert darker(*left, 0, 14)
    assert darker(*right, 0, 14)
    middle = np.mean(corners, axis=0)
    assert darker(*middle, 0, 12)
    assert darker(*middle, 0, -10)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="switches off x86-64 instructions")
def test_an_older_processor_draws_the_same_bytes():
    # what OpenCV, NumPy and the JPEG encoder take instead on a processor without AVX2 and FMA
    older = {
        "OPENCV_CPU_DISABLE": "AVX2,FMA3,FP16,AVX",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX",
        "JSIMD_FORCENONE": "1",
    }
    code = (
        "import hashlib; from gluonface.data.synthetic import face_set as synthetic;"
        "done = [synthetic._encode((0, who, range(3), 'jpg')) for who in range(6)];"
        "print(hashlib.sha256(b''.join(data for one in done for data in one)).hexdigest())"
    )
    root = pathlib.Path(__file__).parents[2]
    command = [sys.executable, "-W", "ignore", "-c", code]
    digest = {
        subprocess.run(
            command, cwd=root, env=env, capture_output=True, text=True, check=True
        ).stdout
        for env in (os.environ, {**os.environ, **older})
    }
    assert len(digest) == 1


def test_opencv_is_left_as_it_was():
    cv2 = pytest.importorskip("cv2")
    before = cv2.ipp.useIPP()
    draw_face(0, 0, 0)
    assert cv2.ipp.useIPP() == before


def test_what_is_written_can_be_read(made):
    folder, summary = made
    assert {path.name for path in folder.iterdir()} == FILES
    records = RecordDataset(folder)
    assert len(records) == summary["counts"]["images"] == 12
    assert records.num_classes == 2
    assert list(records.labels) == [0] * 6 + [1] * 6
    image, label = records[7]
    assert image.shape == (112, 112, 3)
    assert label == 1
    # JPEG of quality 45 or more stays near what was drawn
    assert np.abs(image.astype(int) - draw_face(0, 1, 1)).mean() < 8
    pack = VerificationPack.load(folder / "test.bin")
    assert len(pack) == 300
    assert pack.images(0).shape == (2, 112, 112, 3)
    for fold in pack.issame.reshape(10, 30):
        assert list(fold) == [True] * 15 + [False] * 15


def test_the_pack_holds_the_pairs_of_the_plan(made):
    folder, _ = made
    pack = VerificationPack.load(folder / "test.bin")
    plan = plan_pairs(0, 40, 6, 300)
    for number in (0, 17, 299):
        one, first, other, second = plan[number]
        assert pack.issame[number] == (one == other)
        for image, who, which in zip(pack.images(number), (one, other), (first, second)):
            drawn = draw_face(0, face_set.FIRST_TEST_IDENTITY + who, which)
            assert np.abs(image.astype(int) - drawn).mean() < 8


def test_raw_pixels_are_not_enough(made):
    folder, summary = made
    raw = summary["raw_pixels"]
    assert set(raw) == {"grey cosine", "grey l2", "colour cosine", "colour l2", "best"}
    assert 0.5 < raw["best"] < 0.75
    assert raw["best"] == max(raw.values())
    assert raw == face_set.raw_pixel_accuracy(
        VerificationPack.load(folder / "test.bin"), kfold_accuracy
    )


def test_any_number_of_processes_makes_the_same_files(least, tmp_path):
    two = synthesize(tmp_path / "two", **LEAST, workers=2)
    assert two["files"] == digests(least)
    for name in face_set.FILES:
        assert (tmp_path / "two" / name).read_bytes() == (least / name).read_bytes()


def test_more_identities_keep_the_people_there_are(least, tmp_path):
    more = synthesize(tmp_path / "more", **{**LEAST, "identities": 3}, workers=1)
    assert more["files"]["test.bin"] == digests(least)["test.bin"]
    first, second = RecordDataset(least), RecordDataset(tmp_path / "more")
    assert [first.read(i) for i in range(4)] == [second.read(i) for i in range(4)]


def test_png_loses_nothing(tmp_path):
    synthesize(tmp_path, **LEAST, image_format="png", workers=1)
    np.testing.assert_array_equal(RecordDataset(tmp_path)[1][0], draw_face(0, 0, 1))


def test_a_second_call_draws_nothing(made, monkeypatch):
    folder, summary = made
    monkeypatch.setattr(face_set, "_make", None)
    again = synthesize(folder, **SMALL)
    assert again["reused"]
    assert not summary["reused"]
    assert again["files"] == summary["files"]


def test_other_settings_need_overwrite(least, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(least, folder)
    with pytest.raises(InputError, match=r"seed 0 there, 1 asked.*--overwrite"):
        synthesize(folder, **LEAST, seed=1)
    (folder / "note.txt").write_text("mine")
    before = digests(folder)
    assert not synthesize(folder, **LEAST, seed=1, overwrite=True, workers=1)["reused"]
    assert digests(folder)["train.rec"] != before["train.rec"]
    assert (folder / "note.txt").read_text() == "mine"
    assert {path.name for path in folder.iterdir()} == FILES | {"note.txt"}


def test_a_damaged_set_is_not_reused(least, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(least, folder)
    data = bytearray((folder / "train.rec").read_bytes())
    data[-9] ^= 1
    (folder / "train.rec").write_bytes(data)
    with pytest.raises(DataError, match=r"train\.rec is missing or changed.*--overwrite"):
        synthesize(folder, **LEAST)


@pytest.mark.parametrize("there", [False, True])
def test_an_interrupted_call_goes_on(least, tmp_path, monkeypatch, there):
    folder, drawn = tmp_path / "set", []
    if there:
        folder.mkdir()
    encode = face_set._encode

    def interrupted(*args):
        drawn.append(1)
        if len(drawn) == 2:  # the second identity
            raise KeyboardInterrupt
        return encode(*args)

    monkeypatch.setattr(face_set, "_encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synthesize(folder, **LEAST, workers=1)
    assert not (folder / "train.rec").exists()
    synthesize(folder, **LEAST, workers=1)
    assert len(drawn) - 2 == 1 + LEAST["test_identities"]  # the first one was there
    assert digests(folder) == digests(least)
    assert {path.name for path in folder.iterdir()} == FILES
    assert list(tmp_path.iterdir()) == [folder]


def test_what_is_queued_is_cancelled_once(monkeypatch):
    """A second shutdown takes the cancelling back, and the processes draw on for minutes."""
    calls = []

    class Pool:
        def __init__(self, *_):
            pass

        def map(self, function, tasks, chunksize):
            return map(str, tasks)

        def shutdown(self, **options):
            calls.append(options)

    monkeypatch.setattr(face_set.concurrent.futures, "ProcessPoolExecutor", Pool)
    results = face_set._results([1, 2, 3], 2)
    assert next(results) == "1"
    results.close()
    assert calls == [{"cancel_futures": True}]


def test_an_alarm_waits_until_the_processes_are_started():
    came = []
    previous = signal.signal(signal.SIGALRM, lambda number, frame: came.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with face_set._without_interrupts():
            time.sleep(0.05)
            assert not came
        time.sleep(0.05)
        assert came
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_two_calls_at_once_do_not_meet(least, tmp_path, monkeypatch):
    (tmp_path / f".set{staging_dir.SUFFIX}").mkdir()
    with staging_dir.lock_folder(tmp_path / f".set{staging_dir.SUFFIX}"):
        synthesize(tmp_path / "set", **LEAST, workers=1)
    assert digests(tmp_path / "set") == digests(least)


def test_nothing_is_left_of_a_failed_call(tmp_path, monkeypatch):
    def fail(*_):
        raise DataError("broken")

    monkeypatch.setattr(face_set, "_encode", fail)
    with pytest.raises(DataError):
        synthesize(tmp_path / "set", **LEAST, workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"identities": 1}, "identities 1: a whole number from 2"),
        ({"images": 1}, "images 1: a whole number from 2"),
        ({"images": 2.5}, r"images 2\.5: a whole number"),
        ({"seed": -1}, "seed -1: a whole number from 0"),
        ({"test_identities": 19}, "test_identities 19: a whole number from 20"),
        ({"pairs": 30}, "pairs 30: a multiple of 20"),
        ({"test_identities": 20, "images": 2, "pairs": 60}, "at most 40 pairs"),
        ({"workers": 0}, "workers 0"),
        ({"image_format": "gif"}, "'jpg' or 'png'"),
    ],
)
def test_what_cannot_be_asked(wrong, message, tmp_path):
    with pytest.raises(InputError, match=message):
        synthesize(tmp_path / "set", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "train.rec").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"not empty.*Choose another folder"):
        synthesize(tmp_path)
    assert (tmp_path / "train.rec").read_bytes() == b"mine"
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is a file"):
            synthesize(tmp_path / "train.rec", overwrite=overwrite)


def test_a_folder_in_the_making_does_not_count(tmp_path):
    left = tmp_path / f".x{staging_dir.SUFFIX}"  # what a killed run leaves
    left.mkdir()
    assert not synthesize(tmp_path, **LEAST, workers=1)["reused"]
    assert {path.name for path in tmp_path.iterdir()} == FILES | {left.name}


def test_a_place_that_cannot_be_written():
    with pytest.raises(InputError, match="cannot be written"):
        synthesize("/proc/nowhere/set")


@pytest.mark.parametrize("number", [-1, 1.5, True, "0"])
def test_faces_have_whole_numbers(number):
    with pytest.raises(InputError, match="identity"):
        draw_face(0, number, 0)


def test_command(tmp_path, capsys):
    words = ["data", "synthesize", "--identities", "2", "--images", "2", "--test-identities", "20"]
    words += ["--pairs", "20", "--workers", "1", "--out", str(tmp_path / "set")]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "2 identities, 4 images" in out
    assert "raw pixels" in out
    assert main([*words, "--json", str(tmp_path / "summary.json")]) == 0
    assert "already there" in capsys.readouterr().out
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["reused"]
    assert summary["counts"]["pairs"] == 20
    assert main([*words, "--seed", "5"]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_help_needs_neither_opencv_nor_numpy():
    code = (
        "import sys; from gluonface.cli import main;"
        "status = main(['data', 'synthesize', '--help']);"
        "assert not {'cv2', 'numpy', 'mxnet'} & set(sys.modules), 'too much imported';"
        "sys.exit(status)"
    )
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--test-identities" in done.stdout
