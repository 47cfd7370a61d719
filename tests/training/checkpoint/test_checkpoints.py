"""What a checkpoint says and keeps, what it refuses."""

import json
import resource

import pytest
from trainers import Watch, make

from gluonface.errors import DataError, TrainingError
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


@pytest.mark.parametrize("name", ["backbone.params", "backbone.npz"])
def test_a_file_that_cannot_be_written_whole_is_no_checkpoint(saved, tmp_path, name):
    """As on a full disk; MXNet's own `save` would not tell."""
    trainer = saved[0]
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(3, lambda empty: save_state(empty, trainer))
    sizes = {path.name: path.stat().st_size for path in checkpoints.path("last").iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[name] - 1, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoints.write(4, lambda empty: save_state(empty, trainer))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoints.path("last").name == "step-00000003"
    load_state(checkpoints.path("last"), trainer)
