"""Class centres of an earlier run: the same classes, more, fewer, others."""

import numpy as np
import pytest
from trainers import make
from training_fixtures import StopAt

from gluonface.cli import main
from gluonface.errors import InputError
from gluonface.training.checkpoint import sharded_npy
from gluonface.training.checkpoint.checkpoints import save_state
from gluonface.training.checkpoint.class_rows import export_centers, find_checkpoint
from gluonface.training.checkpoint.label_map import NEW, read_label_map, take_centers


def head(classes, **options):
    from gluonface.loss import get_loss
    from gluonface.parallel import PartialFC

    margin = options.pop("margin", "cosface")
    return PartialFC(get_loss(margin), classes, options.pop("size", 8), seed=5, **options)


@pytest.mark.parametrize("options", [{}, {"centers": "host"}, {"sample_rate": 0.5}])
def test_same_grow_drop_and_remap(run, tmp_path, options):
    folder, old = run
    fresh = head(9, **options).get_centers()
    same, grown, mapped = head(6, **options), head(9, **options), head(9, **options)
    assert take_centers(same, folder, "same") == 6
    np.testing.assert_array_equal(same.get_centers(), old)
    assert take_centers(grown, folder, "grow") == 6
    np.testing.assert_array_equal(grown.get_centers(), np.concatenate([old, fresh[6:]]))
    file = tmp_path / "map.txt"
    file.write_text(
        "# class 2 of the run is gone\n8, 0\n1 5\n2 4\n3 1\n4 3 # \n\n0 new\n5 new\n6 new\n7 new"
    )
    assert take_centers(mapped, folder, file) == 5
    want = fresh.copy()
    want[[8, 1, 2, 3, 4]] = old[[0, 5, 4, 1, 3]]
    np.testing.assert_array_equal(mapped.get_centers(), want)


def test_the_bank_and_a_shared_bias_are_taken(tiny, noise_set, tmp_path, caplog):
    folders = {}
    for loss in ("uniface", "lvface"):
        folders[loss] = tmp_path / loss
        trainer = make(noise_set, [StopAt(3)], loss={"name": loss}, optimizer={"name": "sgd"})
        trainer.fit()
        folders[loss].mkdir()
        save_state(folders[loss], trainer)
        if loss == "uniface":
            bias = trainer.head.class_centers.shared_state()["bias"]
        else:
            bank = np.array(trainer.head.row_arrays()["bank"])
    for options in ({}, {"updates_itself": True}):
        fresh = head(9, margin="uniface", **options)
        first = fresh.class_centers.shared_state()["bias"]
        take_centers(fresh, folders["uniface"], "grow")
        assert fresh.class_centers.shared_state()["bias"] == pytest.approx(bias, rel=1e-7)
        assert first != pytest.approx(bias, rel=1e-7)
    other = head(6, margin="sphereface2")
    first = other.class_centers.shared_state()
    take_centers(other, folders["uniface"], "same")
    assert other.class_centers.shared_state() == first
    assert "uniface, whose bias is no bias of sphereface2: it starts anew" in caplog.text
    fresh = head(9, margin="lvface")
    take_centers(fresh, folders["lvface"], "grow")
    np.testing.assert_array_equal(fresh.row_arrays()["bank"][:6], bank)
    assert bank.any(axis=1).all()
    assert not np.any(fresh.row_arrays()["bank"][6:])  # new classes were not seen


def test_what_does_not_fit_is_refused(run):
    folder, _ = run
    for new, how, words in (
        (head(7), "same", "the run has 6 classes, the data 7.*grow"),
        (head(5), "grow", "only 5"),
        (head(6, size=4), "same", "embedding size 8, this run 4"),
        (head(6, margin="subcenter_arcface"), "same", "centres for each class 1"),
        (head(6), "sme", "expected same, grow, new, or a file"),
    ):
        before = new.get_centers()
        with pytest.raises(InputError, match=words):
            take_centers(new, folder, how)
        np.testing.assert_array_equal(new.get_centers(), before)
    with pytest.raises(InputError, match="neither a run folder"):
        find_checkpoint(folder / "checkpoints")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 0\n1 1\n", "no line for 1 of 3 classes, such as class 2"),
        ("0 0\n1 1\n2 4\n", "line 3.*0 to 3"),
        ("0 0\n1 1\n3 1\n", "line 3.*0 to 2"),
        ("0 0\n1 1\n2 -1\n", "line 3"),
        ("0 0\n1 1\n1 2\n2 1", "line 3: class 1 has a line before"),
        ("0 0\n1\n", "line 2"),
        ("0 0 0\n", "line 1"),
        ("a b\n", "line 1"),
    ],
)
def test_wrong_label_maps(tmp_path, text, words):
    file = tmp_path / "map.txt"
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        read_label_map(file, 3, 4)


def test_two_classes_may_come_from_one(tmp_path):
    file = tmp_path / "map.txt"
    file.write_text("0 3\n1 3\n2 new\n")
    assert read_label_map(file, 3, 4).tolist() == [3, 3, NEW]


def test_export_in_one_file(run, tmp_path, capsys, monkeypatch):
    folder, old = run
    assert export_centers(folder, tmp_path / "centers.npy") == (6, 8)
    np.testing.assert_array_equal(np.load(tmp_path / "centers.npy"), old)

    monkeypatch.setattr(sharded_npy, "SLICE_BYTES", 2 * 8 * 4)  # two rows at a time
    file = tmp_path / "new/centers.npy"
    for source in (folder, folder / "checkpoints/last"):
        assert main(["export", "--model", str(source), "--centers", str(file)]) == 0
        assert f"{file}  6 x 8 float32" in capsys.readouterr().out
        got = np.load(file, allow_pickle=False)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, old)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give --out PREFIX, --centers FILE.npy, or both"),
        (["--centers", "c.npy", "--onnx"], "--onnx: this is of the model"),
        (["--centers", "c.txt"], "ends in .npy"),
        (["--centers", "c.npy"], "neither a run folder with a checkpoint nor a checkpoint"),
    ],
)
def test_wrong_use_of_the_export(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--model", "nothing", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
