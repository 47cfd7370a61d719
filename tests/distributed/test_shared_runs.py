"""What two real processes share besides the step: verification, mixed images, other centres."""

import csv
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import training_fixtures
from runs import SAMPLED, assert_close, finish, launch, losses, stored
from two_processes import launch as launch_any

HERE = pathlib.Path(__file__).parent

pytestmark = pytest.mark.slow
noise_set, tiny = training_fixtures.noise_set, training_fixtures.tiny
NO_STEP = ("train.steps=1", "optimizer.lr=1e-30")  # too small to change a float32


@pytest.fixture(scope="module")
def data(noise_set):
    return noise_set.data


def verification(run):
    """Return the rows of verification.csv, and the last of verification.json."""
    with open(run / "verification.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return rows, json.loads((run / "verification.json").read_text())


def test_verification_on_the_way_is_that_of_one_process(tmp_path, data, noise_set, tiny):
    from gluonface import get_model
    from gluonface._compat import mx
    from gluonface.data import VerificationPack
    from gluonface.evaluation.protocols import verification as direct
    from gluonface.training.callbacks.verification import LiveEngine

    settings = (
        "model.name=tiny", "train.steps=4", "eval.every=2", "eval.at_start=true", "eval.folds=5",
        "eval.batch_size=8", "eval.flip=sum",
    )  # fmt: skip
    for processes in (1, 2):
        finish(
            processes, tmp_path / str(processes), data, "--packs", noise_set.pack, settings=settings
        )
    (one, _), (two, last) = (verification(tmp_path / name) for name in "12")
    assert [row["step"] for row in two] == ["0", "2", "4"]
    assert two[0] == one[0]  # the same weights still, and so to the last bit
    # BatchNorm's statistics are then those of rank 0, which the checkpoint holds as well.
    net = get_model("tiny")
    net.load_parameters(str(tmp_path / "2/checkpoints/last/backbone.params"))
    from gluonface.deploy import Embedder

    card = {"name": "tiny", "input_size": (112, 112), "preprocessing": "inside"}
    pack = VerificationPack.load(noise_set.pack)
    embedder = Embedder(LiveEngine(net, mx.cpu()), card)
    want = direct.evaluate_outputs(
        pack, *direct.pack_outputs(embedder, pack, 8, mirror=True), ("sum",), 5
    )["sum"].to_dict()
    assert last["history"][-1]["packs"]["noise"] == json.loads(json.dumps(want))


def test_evaluation_of_images_is_that_of_one_process(tmp_path, data, tiny):
    from gluonface import get_model

    get_model("mobilefacenet", embedding_size=16).save_parameters(str(tmp_path / "m.params"))
    command = [sys.executable, "-m", "gluonface", "data", "unpack", data, str(tmp_path / "faces")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    for processes in (1, 2):
        done = launch_any(
            processes, sys.executable, "-m", "gluonface", "eval", "folder", "--parallel", "horovod",
            "--model", f"mobilefacenet:{tmp_path / 'm.params'}", "--images", tmp_path / "faces",
            "--json", tmp_path / f"{processes}.json", "--batch-size", "8",
            "--cache", tmp_path / f"cache{processes}",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    one, two = ((tmp_path / f"{n}.json").read_text() for n in (1, 2))
    assert json.loads(one) == json.loads(two)


@pytest.mark.parametrize(
    ("augment", "more"), [("{mixup: {alpha: 1.0}}", SAMPLED), ("cutmix", ("head.mode=replicated",))]
)
def test_mixed_images_of_two_processes_are_those_of_one(tmp_path, data, augment, more):
    """Two labels each, both with their margin and always among the sampled classes."""
    settings = (f"data.augment=[{augment}]", "train.steps=6", *more)
    finish(1, tmp_path / "one", data, settings=settings)
    finish(2, tmp_path / "two", data, settings=settings)
    # The same sums in another order, six updates long.
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=2e-5)
    assert_close(stored(tmp_path / "two"), stored(tmp_path / "one"), 2e-5)


def test_sharded_and_replicated_centres_take_over_from_each_other(tmp_path, data):
    settings = ("optimizer.momentum=0.9",)
    finish(1, tmp_path / "whole", data, settings=settings)
    run = tmp_path / "run"
    for mode in ("sharded", "replicated"):
        resume = ("--resume",) if run.exists() else ()
        more = (*settings, f"head.mode={mode}")
        done = launch(2, run, data, *resume, point="step:5@1", settings=more)
        assert done.returncode != 0
        assert "error: rank 1 ended" in done.stderr
    finish(2, run, data, "--resume", settings=(*settings, "head.mode=sharded"))
    np.testing.assert_allclose(losses(run), losses(tmp_path / "whole"), rtol=2e-5)
    assert_close(stored(run), stored(tmp_path / "whole"), 2e-5)


def test_centres_of_a_run_for_other_classes(tmp_path, data):
    """Grown, dropped and mapped, on two processes, from a run of two."""
    from gluonface.data import RecordDataset, RecordWriter

    finish(2, tmp_path / "old", data, settings=("train.steps=2",))
    old = stored(tmp_path / "old")["weight"]
    assert old.shape == (6, 8)
    source = RecordDataset(data)
    with RecordWriter(tmp_path / "more") as writer:  # 9 people instead of 6
        for number in range(48):
            writer.add(source.read(number), number * 9 // 48)
    map_file = tmp_path / "map.txt"
    map_file.write_text("8 0\n1 5\n2 4\n3 1\n4 3\n0 new\n5 new\n6 new\n7 new\n")
    start = ("--init", tmp_path / "old", "--init-centers")
    found = {}
    for how, where in (("new", "more"), ("grow", "more"), (map_file, "more")):
        name = pathlib.Path(how).stem
        finish(2, tmp_path / name, tmp_path / where, *map(str, (*start, how)), settings=NO_STEP)
        found[name] = stored(tmp_path / name)["weight"]
    fresh = found["new"]
    np.testing.assert_array_equal(found["grow"], np.concatenate([old, fresh[6:]]))
    want = fresh.copy()
    want[[8, 1, 2, 3, 4]] = old[[0, 5, 4, 1, 3]]  # 2 is dropped
    np.testing.assert_array_equal(found["map"], want)
    done = launch(2, tmp_path / "no", tmp_path / "more", *map(str, (*start, "same")))
    for rank in (0, 1):
        assert f"[{rank}]<stderr>:gluonface train: error: " in done.stderr
    assert "the run has 6 classes, the data 9" in done.stderr
