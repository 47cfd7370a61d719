"""Checksums of a checkpoint are those of what was meant; every damage is found and named."""

import hashlib
import json
import shutil

import pytest
from trainers import Watch, make

from gluonface.errors import DataError, TrainingError
from gluonface.files import sha256
from gluonface.training.checkpoint import checkpoints, integrity, sharded_npy
from gluonface.training.checkpoint.checkpoints import Checkpoints, load_state, save_state
from gluonface.training.config.config import config_from_dict

FILES = (
    "manifest.json", "config.yaml", "backbone.params", "backbone.npz",
    "head-weight-000000000.npy", "head-mean-000000000.npy", "head-variance-000000000.npy",
)  # fmt: skip
DAMAGE = {
    "cut": lambda data: data[: len(data) * 2 // 3],
    "cut by a byte": lambda data: data[:-1],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"\n",
    "altered": lambda data: data[: len(data) // 2] + b"~" + data[len(data) // 2 + 1 :],
    "zeros": lambda data: data[:-20] + bytes(20),
    "missing": None,
}


def damage(path, how):
    if DAMAGE[how] is None:
        path.unlink()
    else:
        path.write_bytes(DAMAGE[how](path.read_bytes()))


@pytest.fixture(scope="module")
def saved(tiny, noise_set, tmp_path_factory):
    """Return a trainer stopped at step 3, and the folder of its checkpoint."""
    folder = tmp_path_factory.mktemp("saved")
    trainer = make(noise_set, [Watch(stop_at=3)])
    trainer.fit()
    save_state(folder, trainer, config_from_dict({"train": {"seed": 0}}))
    return trainer, folder


def test_each_file_of_a_checkpoint_is_in_the_list_above(saved):
    assert {path.name for path in saved[1].iterdir()} == set(FILES)


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", FILES)
def test_every_damage_of_every_file_is_refused_by_name(saved, tmp_path, name, how):
    trainer, folder = saved
    shutil.copytree(folder, tmp_path / "copy")
    damage(tmp_path / "copy" / name, how)
    with pytest.raises(DataError, match=name):
        load_state(tmp_path / "copy", trainer)


def test_an_altered_number_of_the_manifest_is_refused(saved, tmp_path):
    """Also where it is JSON still, and where only white space differs."""
    folder = shutil.copytree(saved[1], tmp_path / "copy")
    text = (folder / "manifest.json").read_text()
    manifest = json.loads(text)
    assert "sha256" in manifest
    changed = {**manifest, "classes": 7}
    del changed["sha256"]
    for other in (
        text.replace('"step": 3', '"step": 4'),
        text.replace("\n", " ", 1),
        json.dumps(manifest),
        json.dumps(changed),
        json.dumps([]),
        "[" * 100000,
    ):
        assert other != text
        (folder / "manifest.json").write_text(other)
        with pytest.raises(DataError, match=r"manifest\.json"):
            integrity.read_manifest(folder)
    (folder / "manifest.json").write_text(text)
    assert integrity.read_manifest(folder) == manifest


def cut_after(monkeypatch, name, keep):
    """Cut a file when all of the checkpoint is written, as a disk that lies would."""
    original = checkpoints.write_manifest

    def wrapped(folder, manifest):
        original(folder, manifest)
        path = folder / name
        path.write_bytes(path.read_bytes()[:keep])

    monkeypatch.setattr(checkpoints, "write_manifest", wrapped)


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_that_was_not_stored_is_not_the_last(saved, tmp_path, monkeypatch, name):
    trainer = saved[0]
    config = config_from_dict({})
    kept = Checkpoints(tmp_path)
    kept.write(3, lambda empty: save_state(empty, trainer, config))
    cut_after(monkeypatch, name, keep=100)
    with pytest.raises((TrainingError, DataError), match=name):
        kept.write(4, lambda empty: save_state(empty, trainer, config))
    assert kept.path("last").name == "step-00000003"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "step-00000003"]
    load_state(kept.path("last"), trainer)


def test_parts_of_several_ranks_are_those_that_were_meant(tmp_path):
    path = tmp_path / "rows.npy"
    content = bytes(range(256)) * 40
    path.write_bytes(content)
    cuts = (0, 128, 5000, len(content))
    parts = [(a, b - a, hashlib.sha256(content[a:b]).hexdigest()) for a, b in zip(cuts, cuts[1:])]
    want = {"bytes": len(content), "sha256": sha256(path)}
    assert integrity.join_parts(path, reversed(parts)) == want
    for wrong in (content[:-1], content[:200] + b"?" + content[201:], content + b"x", b""):
        path.write_bytes(wrong)
        with pytest.raises(DataError, match=r"rows\.npy"):
            integrity.join_parts(path, parts)
    path.write_bytes(content)
    with pytest.raises(DataError, match="bytes 5000 to"):
        integrity.join_parts(path, [parts[0], parts[2]])


def test_what_a_rank_wrote_is_told_with_the_header_where_the_file_is_its_own(tmp_path):
    import numpy as np

    rows = np.arange(12, dtype="f").reshape(6, 2)
    (header,) = sharded_npy.create(tmp_path, "w", 6, (2,), rows.dtype).values()
    (whole,) = sharded_npy.write(tmp_path, "w", 6, 0, rows).values()
    path = tmp_path / "w-000000000.npy"
    assert whole == (0, path.stat().st_size, sha256(path))
    parts = [header]
    for start in (0, 4):
        (part,) = sharded_npy.write(tmp_path, "w", 6, start, rows[start : start + 4]).values()
        parts.append(part)
    assert integrity.join_parts(path, parts)["sha256"] == sha256(path)
