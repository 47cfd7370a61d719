import json

import numpy as np
import pytest
from recognition_cases import people_images, write_people

from gluonface.cli import main
from gluonface.recognition import Gallery


@pytest.fixture
def photos(tmp_path):
    return write_people(tmp_path / "photos", people_images(4, 3))


@pytest.fixture
def gallery(tmp_path, photos, small_prefix):
    path = str(tmp_path / "g")
    words = [str(photos), "--model", str(small_prefix)]
    assert main(["gallery", "enrol", path, *words]) == 0
    return path


def run(capsys, *words, status=0):
    capsys.readouterr()
    assert main([str(word) for word in words]) == status
    streams = capsys.readouterr()
    return streams.err if status else streams.out


def test_enrol_says_what_it_did(tmp_path, capsys, gallery, photos, small_prefix):
    again = run(capsys, "gallery", "enrol", gallery, photos, "--json", tmp_path / "e.json")
    assert "0 faces enrolled, 0 new people" in again
    assert "12 pictures are enrolled already and were skipped" in again
    assert json.loads((tmp_path / "e.json").read_text())["faces"] == 0
    picture = photos / "person01/0.png"
    other = run(capsys, "gallery", "enrol", gallery, picture, "--person", "eve")
    assert f"{picture} is enrolled as person01, not as eve: whose picture is it?" in other
    new = write_people(tmp_path / "new", people_images(1, 2, 5)) / "person00"
    named = run(capsys, "gallery", "enrol", gallery, new, "--person", "person02")
    assert "person02 was there with 3 faces: if that is another person" in named
    assert Gallery.open(gallery).counts()["person02"] == 5
    assert "has the template 'sum'" in run(
        capsys, "gallery", "enrol", gallery, photos, "--template", "max", status=2
    )
    assert "with flip 'sum', not 'none'" in run(
        capsys, "gallery", "enrol", gallery, photos, "--flip", "none", status=2
    )
    assert "--model is missing" in run(capsys, "gallery", "enrol", tmp_path / "h", photos, status=2)


def test_list_rename_remove(tmp_path, capsys, gallery):
    listed = run(capsys, "gallery", "list", gallery, "--json", tmp_path / "l.json")
    assert "person03      3" in listed
    assert "flip sum, crops, template sum" in listed
    assert json.loads((tmp_path / "l.json").read_text())["people"]["person00"] == 3
    assert run(capsys, "gallery", "rename", gallery, "person00", "Ann") == "person00 is Ann now\n"
    assert "nearest name is 'Ann'" in run(capsys, "gallery", "remove", gallery, "An", status=2)
    removed = run(capsys, "gallery", "remove", gallery, "Ann")
    assert removed == (
        "Ann and 3 faces were removed from the file; backups and crops are yours to delete\n"
    )


def test_identify(tmp_path, capsys, gallery, photos):
    out = run(capsys, "identify", gallery, photos / "person02/1.png", "--top", "2")
    assert "  no decision\n" in out
    assert "was never checked" in out
    assert out.count("person0") == 2 + 1  # the picture's own path
    assert "FPIR 0.5 needs 6 people" in run(
        capsys, "gallery", "check", gallery, "--fpir", "0.5", status=2
    )
    checked = run(capsys, "gallery", "check", gallery, "--fpir", "0.75")
    assert "this gallery (4 people; rule of 3: an estimate)" in checked
    assert "was checked for FPIR 0.75, not 0.1" in run(
        capsys, "identify", gallery, photos, "--fpir", "0.1", status=2
    )
    words = ["--json", tmp_path / "i.json", "--draw", tmp_path / "drawn"]
    out = run(capsys, "identify", gallery, photos, *words)
    assert "of strangers a share of 0.75 is named" in out
    found = json.loads((tmp_path / "i.json").read_text())
    for one in found["pictures"]:
        (face,) = one["faces"]
        near = face["candidates"][0]
        assert near["name"] in one["picture"]
        assert face["name"] == (near["name"] if near["score"] > found["threshold"] else None)
    assert len(list((tmp_path / "drawn").iterdir())) == 12
    own = run(capsys, "identify", gallery, photos / "person02/1.png", "--threshold", "1")
    assert "  nobody\n" in own
    assert "your threshold 1.000: its error rates are not known" in own
    assert "--top is 0" in run(capsys, "identify", gallery, photos, "--top", "0", status=2)
    assert "a cosine" in run(capsys, "identify", gallery, photos, "--threshold", "2", status=2)


def test_another_model_is_refused_by_name(tmp_path, capsys, gallery, photos):
    from deploy_nets import make_small

    from gluonface.deploy import export_model

    export_model(make_small(seed=1), tmp_path / "other", card={"name": "other"})
    said = run(capsys, "identify", gallery, photos, "--model", tmp_path / "other", status=2)
    assert "holds embeddings of small (sha256 " in said
    assert "not of other (sha256 " in said


def test_the_model_has_moved(capsys, gallery, photos, monkeypatch):
    about = Gallery.open(gallery).about["model"]
    changed = Gallery.open(gallery)
    changed.set_about("model", {**about, "source": "/no/such/model"})
    said = run(capsys, "identify", gallery, photos, status=2)
    assert "is not where it was" in said
    assert "Give --model" in said


def test_export_is_read_by_other_commands(tmp_path, capsys, gallery):
    out = tmp_path / "g.npz"
    assert "12 faces of 4 people" in run(capsys, "gallery", "export", gallery, out)
    arrays = np.load(out)
    held = Gallery.open(gallery)
    np.testing.assert_array_equal(arrays["output"], held.outputs)
    np.testing.assert_allclose(np.linalg.norm(arrays["embedding"], axis=1), 1, rtol=1e-6)
    assert arrays["name"].tolist() == sorted(held.counts())
    assert "TAR" in run(capsys, "eval", "folder", "--embeddings", out)
    assert ".npz" in run(capsys, "gallery", "export", gallery, tmp_path / "g.csv", status=2)


def test_an_empty_gallery(tmp_path, capsys, gallery, photos):
    for number in range(4):
        run(capsys, "gallery", "remove", gallery, f"person0{number}")
    assert "is empty" in run(capsys, "identify", gallery, photos, status=1)
    assert "holds 0 people" in run(capsys, "gallery", "check", gallery, status=2)


def test_a_calibration_for_quality_and_few_people(tmp_path, capsys, gallery, small_prefix):
    photos = write_people(tmp_path / "others", people_images(30, 2, 3))
    out = tmp_path / "c.json"
    run(capsys, "calibrate", "--model", small_prefix, "--images", photos, "--out", out)
    new = write_people(tmp_path / "new", people_images(5, 1, 4))
    words = ["--calibration", out, "--min-quality", "0.5", "--json", tmp_path / "e.json"]
    run(capsys, "gallery", "enrol", gallery, new, *words)
    assert Gallery.open(gallery).about["calibration"]["set"]["people"] == 30
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["faces"] + len(found["left_out"]) == 5
    checked = run(capsys, "gallery", "check", gallery, "--fpir", "0.1")
    assert "its calibration, at FMR FPIR / people" in checked
    assert "its calibration, at the false match rate" in run(
        capsys, "identify", gallery, new / "person00/0.png"
    )
    again = write_people(tmp_path / "again", people_images(1, 1, 6))
    run(capsys, "gallery", "enrol", gallery, again, "--min-quality", "0")  # that of the gallery
