import csv
import json

import pytest
from recognition_cases import people_images, write_people

from gluonface.cli import main


@pytest.fixture
def photos(tmp_path):
    return write_people(tmp_path / "photos", people_images(4, 3))


def run(capsys, *words, status=0):
    capsys.readouterr()
    assert main([str(word) for word in words]) == status
    streams = capsys.readouterr()
    return streams.err if status else streams.out


def test_from_photographs_to_names_and_back(tmp_path, capsys, photos, small_prefix):
    out, gallery = tmp_path / "out", tmp_path / "g"
    run(capsys, "gallery", "enrol", gallery, photos / "person01", "--person", "Bo",
        "--model", small_prefix)  # fmt: skip
    words = ["--model", small_prefix, "--threshold", "0.9", "--link", "--names", gallery]
    said = run(capsys, "cluster", photos, out, *words, "--json", tmp_path / "c.json")
    assert "yours: its error rates are not known" in said
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["sizes"] == [3, 3, 3, 3]
    assert list(found["names"].values()) == ["Bo"]
    with open(out / "clusters.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["image"].split("/")[0], row["cluster"]) for row in rows} == {
        (f"person{n:02d}", str(n + 1)) for n in range(4)
    }
    truth = tmp_path / "true.csv"
    with open(truth, "w", newline="") as file:
        csv.writer(file).writerows(
            [("image", "person"), *((row["image"], row["image"][:8]) for row in rows)]
        )
    measured = run(capsys, "eval", "clusters", out / "clusters.csv", truth,
                   "--json", tmp_path / "m.json")  # fmt: skip
    assert "12 images of 4 people in 4 clusters, the largest of 3" in measured
    assert json.loads((tmp_path / "m.json").read_text())["bcubed_f"] == 1
    names = out / "names.csv"
    names.write_text("cluster,name\n0001,Ann\n0002,\n0003,Cy\n0004,\n")
    run(capsys, "gallery", "enrol", tmp_path / "new", out, "--names", names,
        "--model", small_prefix)  # fmt: skip
    listed = run(capsys, "gallery", "list", tmp_path / "new").split("\n")
    assert [line.split() for line in listed if line.startswith(("Ann", "Cy"))] == [
        ["Ann", "3"],
        ["Cy", "3"],
    ]


def test_stored_embeddings(tmp_path, capsys, photos, small_prefix):
    stored = tmp_path / "e.npz"
    run(capsys, "embed", "--model", small_prefix, "--input", photos, "--out", stored)
    words = ["--threshold", "0.9", "--pictures", photos, "--model", small_prefix]
    run(capsys, "cluster", stored, tmp_path / "a", *words)
    assert (tmp_path / "a/index.html").read_text().count("<img") == 12
    from deploy_nets import make_small

    from gluonface.deploy import export_model

    export_model(make_small(seed=1), tmp_path / "other", card={"name": "other"})
    words[-1] = tmp_path / "other"
    said = run(capsys, "cluster", stored, tmp_path / "b", *words, status=1)
    assert "holds embeddings of small (sha256 " in said
    assert not (tmp_path / "b").exists()


def test_the_threshold_of_a_calibration(tmp_path, capsys, small_prefix):
    photos = write_people(tmp_path / "photos", people_images(30, 2))
    calibration = tmp_path / "c.json"
    run(capsys, "calibrate", "--model", small_prefix, "--images", photos, "--out", calibration)
    words = ["--model", small_prefix, "--calibration", calibration]
    said = run(capsys, "cluster", photos, tmp_path / "a", *words)
    assert "faces need FMR 0.001" in said
    assert "so that some clusters may hold two people" in said
    assert "FMR 0.1" in run(capsys, "cluster", photos, tmp_path / "b", *words, "--fmr", "0.1")
    assert "needs 30,000 pairs of two people" in run(
        capsys, "cluster", photos, tmp_path / "c", *words, "--fmr", "1e-4", status=2
    )
    stored = tmp_path / "e.npz"
    run(capsys, "embed", "--model", small_prefix, "--input", photos, "--out", stored)
    run(capsys, "cluster", stored, tmp_path / "d", "--calibration", calibration)
    assert len((tmp_path / "d/clusters.csv").read_text().splitlines()) == 61


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["photos", "out"], 2, "--model is missing"),
        (["photos", "out", "--model", "MODEL"], 2, "there is no threshold"),
        (["photos", "out", "--model", "MODEL", "--threshold", "1"], 2, "expected a cosine"),
        (["photos", "photos", "--model", "MODEL", "--threshold", "0.5"], 2, "is there already"),
        (["none", "out", "--model", "MODEL", "--threshold", "0.5"], 2, "there is no folder none"),
        (["none.npz", "out", "--threshold", "0.5"], 2, "there is no file none.npz"),
        (
            ["photos", "out", "--model", "MODEL", "--threshold", "0.5", "--pictures", "photos"],
            2,
            "--pictures is for embeddings",
        ),
        (
            ["photos", "out", "--model", "MODEL", "--threshold", "0.5", "--smallest-cluster", "0"],
            2,
            "smallest is 0",
        ),
    ],
)
def test_wrong_use(tmp_path, capsys, photos, small_prefix, monkeypatch, words, status, text):
    monkeypatch.chdir(tmp_path)
    words = [str(small_prefix) if word == "MODEL" else word for word in words]
    assert text in run(capsys, "cluster", *words, status=status)
