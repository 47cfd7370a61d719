"""The scripts of the published recipes, with stand-ins for gluonface and horovodrun."""

import pathlib
import shutil
import subprocess

import pytest

from gluonface.training.config.recipes import load_config

SCRIPTS = pathlib.Path(__file__).resolve().parents[1] / "scripts"
# script = recipe -> processes of the published run
RECIPES = {
    "glint360k-r100-cosface-pfc0.1": 8,
    "ms1mv3-r50-arcface": 8,
    "mixfacenet-s": 4,
    "mixfacenet-m": 4,
    "mixfacenet-xs": 4,
}
ALL = sorted(
    path.stem
    for path in SCRIPTS.glob("[!_]*.sh")
    if "_recipe.sh" in path.read_text(encoding="utf-8")
)


@pytest.fixture
def call(tmp_path):
    """Return a function that runs a script and gives the process and the commands it calls."""
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    (tmp_path / "bin").mkdir()
    for name in ("gluonface", "horovodrun"):
        fake = tmp_path / "bin" / name
        fake.write_text(
            '#!/bin/sh\nprintf "%s" "$(basename "$0")"\n'
            "for word; do\n"
            'case $word in *" "*) word="\'$word\'";; esac; printf " %s" "$word"\n'
            "done\n"
            "echo\n"
        )
        fake.chmod(0o755)

    def run(name, *arguments, **environment):
        done = subprocess.run(
            ["bash", tmp_path / "scripts" / f"{name}.sh", *arguments],
            env={
                "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
                "TMPDIR": str(tmp_path),
                **environment,
            },
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        return done, done.stdout.splitlines()

    return run


@pytest.mark.parametrize("name", RECIPES)
def test_help_smoke_and_the_published_run(call, name):
    done, _ = call(name, "--help")
    assert done.returncode == 0
    assert name in done.stdout
    assert "--sample-rate R" in done.stdout
    done, (line,) = call(name, "--data", "d", "--run", "r")
    assert done.returncode == 0, done.stderr
    assert line == (f"gluonface train --recipe {name} --data d --run r --ctx gpu")
    processes = RECIPES[name]
    done, (line,) = call(name, "--data", "d", "--run", "r", "--processes", str(processes))
    assert line == (
        f"horovodrun -np {processes} gluonface train --recipe {name} --data d --run r "
        "--ctx gpu --parallel horovod"
    )
    assert f"(the published run: {processes})" in call(name, "--help")[0].stdout
    done, (synthesize, train) = call(name, "--smoke", "--run", "r")
    assert synthesize.startswith("gluonface data synthesize")
    assert train.startswith(f"gluonface train --recipe {name} --data r/faces --run r --ctx cpu")


@pytest.mark.parametrize("name", ALL)
def test_every_recipe_script_explains_itself(call, name):
    row = ["baseline"] if name == "augment" else []  # it begins with the row of a table
    done, _ = call(name, *row, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--processes N" in done.stdout


@pytest.mark.parametrize(
    ("flag", "variable", "setting"),
    [
        ("--batch-size", "BATCH_SIZE", "data.batch_size"),
        ("--accumulate", "ACCUMULATE", "train.accumulate"),
        ("--lr", "LR", "optimizer.lr"),
        ("--epochs", "EPOCHS", "train.epochs"),
        ("--sample-rate", "SAMPLE_RATE", "head.sample_rate"),
        ("--embedding-size", "EMBEDDING_SIZE", "model.embedding_size"),
        ("--dtype", "DTYPE", "train.dtype"),
        ("--eval-every", "EVAL_EVERY", "eval.every"),
        ("--seed", "SEED", "train.seed"),
    ],
)
def test_every_setting_by_flag_and_by_environment(call, flag, variable, setting):
    for arguments, environment in (([flag, "7"], {}), ([f"{flag}=7"], {}), ([], {variable: "7"})):
        _, (line,) = call("mixfacenet-s", "--data", "d", *arguments, **environment)
        assert f"--set {setting}=7" in line


def test_hosts_processes_and_wrong_use(call):
    _, (line,) = call("mixfacenet-s", "--data", "d", "--processes", "16", "--hosts", "a:8,b:8")
    assert line.startswith("horovodrun -np 16 -H a:8,b:8 gluonface train")
    for arguments in (["--nonsense", "3"], ["--lr"], []):
        done, calls = call("mixfacenet-s", *arguments)
        assert done.returncode == 2
        assert not calls


def test_names_with_blanks(call, tmp_path):
    data = tmp_path / "my data"
    data.mkdir()
    for name in ("a b.bin", "c.bin"):
        (data / name).touch()
    _, (line,) = call("mixfacenet-s", "--data", "my data", "--run", "my run")
    assert line == (
        "gluonface train --recipe mixfacenet-s --data 'my data' --run 'my run' --ctx gpu "
        "--packs 'my data/a b.bin' 'my data/c.bin'"
    )
    _, (line,) = call("mixfacenet-s", "--data", "d", "--packs", "my data/a b.bin")
    assert line.endswith("--packs 'my data/a b.bin'")
    _, (line,) = call("mixfacenet-s", "--data", "d", "--packs", "x.bin y.bin")
    assert line.endswith("--packs x.bin y.bin")


def test_several_processes_without_horovod_are_refused_first(call, tmp_path):
    (tmp_path / "bin" / "horovodrun").unlink()
    done, calls = call("mixfacenet-s", "--smoke", "--processes", "4")
    assert done.returncode == 1
    assert not calls
    assert "gluonface install-horovod" in done.stderr
    done, calls = call("mixfacenet-s", "--smoke", "--run", "r")
    assert done.returncode == 0
    assert len(calls) == 2


def test_two_hosts_explains_itself():
    done = subprocess.run(
        ["bash", SCRIPTS / "two-hosts.sh", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "network namespaces" in done.stdout


def test_published_hyper_parameters():
    """As in arcface_torch/configs at d9cb10e, and fdbtrs/mixfacenets/config.py at 2e87836."""
    glint = load_config("glint360k-r100-cosface-pfc0.1")
    assert (glint.model.name, glint.loss.name, glint.loss.arguments["margin"]) == (
        "iresnet100", "cosface", 0.4,
    )  # fmt: skip
    assert (glint.head.sample_rate, glint.optimizer.wd, glint.optimizer.lr) == (0.1, 1e-4, 0.1)
    r50 = load_config("ms1mv3-r50-arcface")
    assert (r50.model.name, r50.loss.arguments["margin"]) == ("iresnet50", 0.5)
    for config in (glint, r50):
        assert (config.data.batch_size, config.train.epochs, config.train.dtype) == (
            1024, 20, "float16",
        )  # fmt: skip
        assert (config.schedule.name, config.schedule.power) == ("poly", 2.0)
        assert config.model.embedding_size == 512
    assert r50.optimizer.wd == 5e-4
    for size in ("s", "m", "xs"):
        config = load_config(f"mixfacenet-{size}")
        assert config.model.name == f"mixfacenet_{size}"
        assert (config.data.batch_size, config.optimizer.lr, config.train.epochs) == (512, 0.1, 26)
        assert [round(26 * share, 3) for share in config.schedule.milestones] == [7, 13, 19, 24]


def test_a_distilled_run_takes_a_teacher_and_makes_one_for_the_smoke(call):
    done, (line,) = call("distill", "--data", "d", "--run", "r", "--teacher", "t.onnx")
    assert done.returncode == 0, done.stderr
    assert "--recipe distill" in line
    assert "--set teacher.source=t.onnx" in line
    _, lines = call("distill", "--smoke", "--run", "r")
    assert [each.split()[1] for each in lines] == ["data", "train", "embed", "train"]
    assert "--out r/teacher.npy" in lines[2]
    assert "--set teacher.embeddings=r/teacher.npy" in lines[3]
    _, lines = call("distill", "--smoke", "--run", "r", "--teacher", "t.onnx")
    assert [each.split()[1] for each in lines] == ["data", "train"]
