"""scripts/mobilefacenet-arcface.sh, with a stand-in for gluonface that prints its arguments."""

import os
import pathlib
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/mobilefacenet-arcface.sh"


@pytest.fixture
def call(tmp_path):
    """Return a function that runs the script and gives the process and gluonface's calls."""
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(SCRIPT, tmp_path / "scripts")
    shutil.copy(SCRIPT.parent / "_recipe.sh", tmp_path / "scripts")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    fake = bin_folder / "gluonface"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$*"\n')
    fake.chmod(0o755)

    def run(*arguments, installed=True, **environment):
        path = f"{bin_folder}:/usr/bin:/bin" if installed else "/usr/bin:/bin"
        done = subprocess.run(
            ["bash", script, *arguments],
            env={"PATH": path, "TMPDIR": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        return done, done.stdout.splitlines()

    return run


def test_the_recipe_alone(call):
    done, calls = call("--data", "emore", "--run", "r")
    assert done.returncode == 0, done.stderr
    gpus = ",".join(f"gpu{n}" for n in range(8))
    assert calls == [f"train --recipe mobilefacenet-arcface --data emore --run r --ctx {gpus}"]


# flag, environment variable, what gluonface gets
SETTINGS = {
    "--batch-size": ("BATCH_SIZE", "data.batch_size"),
    "--lr": ("LR", "optimizer.lr"),
    "--warmup-steps": ("WARMUP_STEPS", "schedule.warmup_steps"),
    "--wd": ("WD", "optimizer.wd"),
    "--momentum": ("MOMENTUM", "optimizer.momentum"),
    "--optimizer": ("OPTIMIZER", "optimizer.name"),
    "--scale": ("SCALE", "loss.scale"),
    "--margin": ("MARGIN", "loss.margin"),
    "--steps": ("STEPS", "train.steps"),
    "--softmax-warmup": ("SOFTMAX_WARMUP", "margin_warmup.start"),
    "--embedding-size": ("EMBEDDING_SIZE", "model.embedding_size"),
    "--dtype": ("DTYPE", "train.dtype"),
    "--eval-every": ("EVAL_EVERY", "eval.every"),
    "--seed": ("SEED", "train.seed"),
}


@pytest.mark.parametrize("flag", SETTINGS)
def test_every_setting_by_flag_and_by_environment(call, flag):
    variable, key = SETTINGS[flag]
    for arguments, environment in (([flag, "7"], {}), ([f"{flag}=7"], {}), ([], {variable: "7"})):
        _, (line,) = call("--data", "d", *arguments, **environment)
        assert f"--set {key}=7" in line
    _, (line,) = call("--data", "d", flag, "8", **{variable: "7"})
    assert f"--set {key}=8" in line  # the flag wins


def test_help_names_every_flag_and_variable(call):
    done, _ = call("--help")
    assert done.returncode == 0
    for flag, (variable, _) in SETTINGS.items():
        assert flag in done.stdout
        assert variable in done.stdout


def test_smoke_draws_faces_and_trains_on_the_cpu(call, tmp_path):
    _, (synthesize, train) = call("--smoke", "--run", "r")
    assert synthesize.startswith("data synthesize")
    assert "--data r/faces --run r --ctx cpu" in train
    assert "train.steps=40" in train


def test_packs_of_the_data_folder_and_further_settings(call, tmp_path):
    (tmp_path / "d").mkdir()
    for name in ("lfw.bin", "agedb_30.bin"):
        (tmp_path / "d" / name).touch()
    _, (line,) = call("--data", "d", "--set", "log.every=3", "--resume")
    assert "--packs d/agedb_30.bin d/lfw.bin" in line
    assert line.endswith("--set log.every=3 --resume")
    _, (line,) = call("--data", "d", "--packs", "a.bin b.bin")
    assert line.endswith("--packs a.bin b.bin")


@pytest.mark.parametrize("arguments", [["--nonsense", "3"], ["--lr"], []])
def test_wrong_use(call, arguments):
    done, calls = call(*arguments)
    assert done.returncode == 2
    assert not calls
    assert "--help" in done.stderr or "--data" in done.stderr


def test_without_gluonface(call):
    done, _ = call("--data", "d", installed=False)
    assert done.returncode == 1
    assert "quickstart.sh" in done.stderr
    assert os.linesep in done.stderr
