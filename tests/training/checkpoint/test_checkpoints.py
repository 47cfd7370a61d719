"""What a checkpoint says and keeps, what it refuses."""

import contextlib
import json
import pathlib
import resource
import shutil

import pytest
from trainers import Watch, make

from gluonface.errors import DataError, InputError, TrainingError
from gluonface.files import sha256
from gluonface.training.callbacks import SaveCheckpoints
from gluonface.training.checkpoint.checkpoints import Checkpoints, load_state, save_state
from gluonface.training.config.config import config_from_dict


@pytest.fixture(scope="module")
def saved(tiny, noise_set, tmp_path_factory):
    """Return a trainer stopped at step 3, and the folder of its checkpoint."""
    folder = tmp_path_factory.mktemp("saved")
    trainer = make(noise_set, [Watch(stop_at=3)])
    trainer.fit()
    save_state(folder, trainer, config_from_dict({"train": {"seed": 0}}))
    return trainer, folder


def copy(folder, to):
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_the_manifest_names_everything(saved):
    _, folder = saved
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["format"], manifest["classes"], manifest["embedding_size"]) == (2, 6, 8)
    assert manifest["processes"] == 1
    assert manifest["trainer"]["progress"]["step"] == 3
    assert manifest["trainer"]["progress"]["batch"] == 3
    assert manifest["head"]["loss"] == "arcface"
    assert manifest["head"]["parameters"] == {"margin": 0.3, "scale": 16.0, "policy": "hard"}
    assert manifest["seed"] == 0
    assert set(manifest["rows"]) == {"weight", "mean", "variance"}
    files = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert set(manifest["files"]) == files
    for name, entry in manifest["files"].items():
        path = folder / name
        assert entry == {"bytes": path.stat().st_size, "sha256": sha256(path)}


@pytest.mark.parametrize(
    "name",
    ["head-weight-000000000.npy", "head-mean-000000000.npy", "backbone.params", "backbone.npz"],
)
def test_damage_is_refused(saved, noise_set, tmp_path, name):
    folder = copy(saved[1], tmp_path)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 255
    (folder / name).write_bytes(data)
    with pytest.raises(DataError, match=rf"{name} is damaged"):
        load_state(folder, make(noise_set))
    (folder / name).unlink()
    with pytest.raises(DataError, match=name):
        load_state(folder, make(noise_set))


def test_no_checkpoint_another_format_another_loss(saved, noise_set, tmp_path):
    with pytest.raises(DataError, match="is not a checkpoint"):
        load_state(tmp_path, make(noise_set))
    folder = copy(saved[1], tmp_path)
    with pytest.raises(TrainingError, match="its loss is arcface, this run's cosface"):
        load_state(folder, make(noise_set, loss={"name": "cosface"}))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 3}))
    with pytest.raises(DataError, match="format 3, this version reads format 2"):
        load_state(folder, make(noise_set))


def test_the_last_n_are_kept(tiny, noise_set, tmp_path):
    for keep, names in ((1, [8]), (3, [4, 6, 8])):
        checkpoints = Checkpoints(tmp_path / str(keep), keep=keep)
        make(noise_set, [SaveCheckpoints(checkpoints, 2)]).fit()
        found = sorted(path.name for path in checkpoints.root.glob("step-*"))
        assert found == [f"step-{step:08d}" for step in names]
        assert checkpoints.path("last").name == "step-00000008"


@contextlib.contextmanager
def files_of_at_most(size):
    """Limit the size of files, which is told as a full disk is."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_no_file_that_cannot_be_written_whole_is_part_of_a_checkpoint(saved, tmp_path):
    """As on a full disk, whichever file it is. MXNet's own `save` would not tell."""
    trainer, config = saved[0], config_from_dict({})
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(3, lambda empty: save_state(empty, trainer, config))
    sizes = {path.name: path.stat().st_size for path in checkpoints.path("last").iterdir()}
    named = set()
    for limit in sorted({10, *(size - 1 for size in sizes.values())}):
        with files_of_at_most(limit), pytest.raises(OSError, match="File too large") as caught:
            checkpoints.write(4, lambda empty: save_state(empty, trainer, config))
        named.add(pathlib.Path(caught.value.filename).name)
        assert checkpoints.path("last").name == "step-00000003"
        assert not list(tmp_path.glob(".*.part"))
    assert len(named) > 2
    load_state(checkpoints.path("last"), trainer)
    with files_of_at_most(max(sizes.values())):
        checkpoints.write(4, lambda empty: save_state(empty, trainer, config))
    assert checkpoints.path("last").name == "step-00000004"


@pytest.fixture
def three(saved, tmp_path):
    """Checkpoints of the steps 2, 4 and 6 (of the same state), all kept; the best is 4."""
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=3)
    for step in (2, 4, 6):
        checkpoints.write(
            step, lambda empty: save_state(empty, saved[0], config_from_dict({})), best=step == 4
        )
    return checkpoints


def test_an_older_checkpoint_is_found_by_its_step(three):
    assert three.start().name == "step-00000006"
    assert three.start(4).name == "step-00000004"
    with pytest.raises(InputError, match="no checkpoint of step 5; there are those of step 2, 4"):
        three.start(5)
    with pytest.raises(InputError, match="there is none at all"):
        Checkpoints(three.root / "nowhere").start(5)
    assert Checkpoints(three.root / "nowhere").start() is None


def test_the_remedy_names_the_steps_that_are_whole(three):
    last = three.path("last")
    assert three.remedy(last).endswith("--resume-from STEP; whole: step 2, 4")
    (three.root / "step-00000004" / "config.yaml").write_text("{}")
    assert three.remedy(last).endswith("whole: step 2")
    (three.root / "step-00000002" / "manifest.json").unlink()
    assert "No other checkpoint" in three.remedy(last)


@pytest.mark.parametrize("loss", ["manifest", "folder", "link"])
def test_a_run_whose_last_checkpoint_is_lost_does_not_begin_anew(three, loss):
    if loss == "manifest":
        (three.root / "last" / "manifest.json").unlink()
    elif loss == "folder":
        shutil.rmtree(three.path("last"))
    else:
        (three.root / "last").unlink()
    with pytest.raises(DataError, match="--resume-from STEP; whole: step 2, 4"):
        three.start()


def test_a_replayed_step_counts_and_a_damaged_one_of_them_does_not(three, saved):
    three.write(4, lambda empty: save_state(empty, saved[0], config_from_dict({})))
    assert three.start(4).name == "step-00000004.1"
    (three.start(4) / "backbone.npz").write_bytes(b"")
    assert three.start(4).name == "step-00000004"


def test_training_that_goes_back_moves_the_links_and_keeps_later_ones_for_now(three, saved):
    three.tidy(2, three.start(2))
    assert [three.path(name).name for name in ("last", "best")] == ["step-00000002"] * 2
    assert len(list(three.root.glob("step-*"))) == 3
    three.tidy(None, three.start(4))
    assert three.path("best") is None


def test_copies_that_somebody_keeps_beside_the_checkpoints_stay(three, saved):
    copies = [three.root / name for name in ("step-2-good", "step-00000004.old", "step-6 (copy)")]
    for path in copies:
        shutil.copytree(three.path("last"), path)
    three.write(8, lambda empty: save_state(empty, saved[0], config_from_dict({})))
    assert all((path / "manifest.json").is_file() for path in copies)
    assert [path.name for path in three._folders()] == [f"step-0000000{n}" for n in (4, 6, 8)]


def test_a_run_that_was_copied_without_its_links_goes_on(three, saved, tmp_path):
    copied = Checkpoints(tmp_path / "copied", keep=9)
    shutil.copytree(three.root, copied.root)  # follows the links, as `cp -rL` does
    step = saved[0].progress.step
    copied.tidy(4, None)
    assert copied.path("best").name == "step-00000004"
    assert copied.path("last").name == "last"
    copied.write(8, lambda empty: save_state(empty, saved[0], config_from_dict({})))
    assert copied.path("last").name == "step-00000008"
    assert (copied.root / "last").is_symlink()
    # What stood in the place of the links are checkpoints by their steps.
    assert {path.name for path in copied._folders() if f"{step:08d}" in path.name} == {
        f"step-{step:08d}", f"step-{step:08d}.1"
    }  # fmt: skip
    copied.tidy(4, copied.start(2))
    assert copied.path("last").name == "step-00000002"
