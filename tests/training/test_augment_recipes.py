"""The recipes of the table of augmentations, each trained for some steps on made faces."""

import csv

import numpy as np
import pytest

from gluonface.cli import main
from gluonface.data.synthetic.face_set import synthesize
from gluonface.training.config.recipes import load_config

ROWS = {
    "baseline": [],
    "randaug": ["rand_augment"],
    "mixup": ["mixup"],
    "randerasing": ["random_erasing"],
    "cutout": ["cutout"],
    "cutmix": ["cutmix"],
    "colorjitter": ["color_jitter"],
}
STEPS = 24
# As scripts/augment.sh --smoke has them: what is left of the recipe is all but the sizes.
SMALL = [
    f"train.steps={STEPS}", "train.epochs=null", "data.batch_size=12", "optimizer.lr=0.02",
    "eval.every=24", "eval.folds=5", "checkpoint.every=24", "log.every=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("augment") / "faces"
    synthesize(folder, identities=12, images=8, test_identities=20, pairs=40, workers=1)
    return folder


def test_each_row_has_its_recipe():
    for row, names in ROWS.items():
        config = load_config(f"augment-{row}")
        assert [name for entry in config.data.augment for name in entry] == names
        assert (config.model.name, config.loss.name) == ("mobilefacenet", "arcface")
        assert (config.data.batch_size, config.train.epochs, config.optimizer.lr) == (512, 24, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_each_recipe_trains(faces, tmp_path, row):
    words = ["train", "--recipe", f"augment-{row}", "--data", str(faces)]
    words += ["--packs", str(faces / "test.bin"), "--run", str(tmp_path / "run"), "--ctx", "cpu"]
    for setting in SMALL:
        words += ["--set", setting]
    assert main(words) == 0
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        losses = np.array([float(line["loss"]) for line in csv.DictReader(file)])
    assert len(losses) == STEPS
    assert np.isfinite(losses).all()
    # Single steps scatter by up to 5, so means of six by 2; they fall by 4 (CutMix) to 16.
    assert losses[-6:].mean() < losses[:6].mean() - 1, losses.round(1)
    assert (tmp_path / "run" / "export" / "model-0000.params").exists()
