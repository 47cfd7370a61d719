"""Manifests that somebody, or a broken disk, has changed."""

import json
import math

import pytest
from state_cases import make

from gluonface.errors import DataError, TrainingError
from gluonface.training.checkpoint.checkpoints import load_state, save_state
from gluonface.training.checkpoint.integrity import write_manifest
from gluonface.training.checkpoint.manifest_form import check_form, names_of_checkpoint


@pytest.fixture(scope="module")
def saved(tiny, noise_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    trainer = make(noise_set, "adaface")
    save_state(folder, trainer)
    return trainer, folder, json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        *(("classes", value) for value in (0, -1, True, "6", 6.0, None, 1 << 60, [6])),
        *(("embedding_size", value) for value in (0, "8", None)),
        *(("head.subcenters", value) for value in (0, [], "1")),
        *(("head.loss", value) for value in (3, None, "\x1b[31m", "x" * 5000)),
        *(("head.state", value) for value in (3, [], {"a": "1"}, {"a": math.nan}, {"a": None})),
        *(("optimizer.head_counts", value) for value in (3, {"a": -1}, {"a": 1.5})),
        *(("rows", value) for value in (3, {"../../x": {}}, {"a/b": {}}, {"": {}}, {"a": 1})),
        *(("files", value) for value in (3, [], {"a": 1})),
        *(("trainer.progress", value) for value in (3, {"step": "1"}, {"step": math.inf}, None)),
        *(("trainer.progress.step", value) for value in (-1, 1.5, None, True)),
    ],
)
def test_entries_of_another_form(saved, tmp_path, keys, value):
    manifest = json.loads(json.dumps(saved[2]))
    check_form(manifest, tmp_path / "manifest.json")
    place = manifest
    *before, last = keys.split(".")
    for key in before:
        place = place[key]
    place[last] = value
    with pytest.raises(DataError, match=rf"manifest\.json has {keys[:8]}.*; expected"):
        check_form(manifest, tmp_path / "manifest.json")
    del place[last]
    with pytest.raises(DataError, match=rf"manifest\.json has no {keys}"):
        check_form(manifest, tmp_path / "manifest.json")


def test_load_state_checks_it(saved, tmp_path):
    trainer, folder, manifest = saved
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    load_state(tmp_path, trainer)
    (tmp_path / "manifest.json").unlink()
    changed = {key: value for key, value in manifest.items() if key != "sha256"}
    write_manifest(tmp_path, {**changed, "rows": {"../x": {}}})
    with pytest.raises(DataError, match=r"manifest\.json has rows a dict of 1"):
        load_state(tmp_path, trainer)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError("x"), DataError),
        (TypeError("x"), DataError),
        (OverflowError(), DataError),
        (DataError("x"), DataError),
        (TrainingError("x"), TrainingError),
    ],
)
def test_errors_name_the_checkpoint(tmp_path, error, kind):
    with pytest.raises(kind, match=str(tmp_path)), names_of_checkpoint(tmp_path):
        raise error


def test_interrupts_pass(tmp_path):
    with pytest.raises(KeyboardInterrupt), names_of_checkpoint(tmp_path):
        raise KeyboardInterrupt
