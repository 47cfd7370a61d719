"""`gluonface train` in this process, on noise and a tiny backbone."""

import csv
import json
import os
import shutil

import pytest
import training_fixtures
import yaml

from gluonface.cli import main
from gluonface.files import FileLock

noise_set, tiny = training_fixtures.noise_set, training_fixtures.tiny


@pytest.fixture(scope="module")
def finished(tiny, noise_set, tmp_path_factory):
    """Return the folder of a complete run."""
    run = tmp_path_factory.mktemp("cli") / "run"
    assert main(command(noise_set, run)) == 0
    return run


def command(noise_set, run, *more):
    settings = (
        "model.name=tiny",
        "train.steps=6",
        "data.batch_size=8",
        "optimizer.name=adam",
        "optimizer.lr=0.01",
        "log.every=2",
        "eval.every=3",
        "eval.at_start=true",
        "eval.folds=2",
        "checkpoint.every=3",
    )
    arguments = ["train", "--data", noise_set.data, "--packs", noise_set.pack, "--run", str(run)]
    for setting in settings:
        arguments += ["--set", setting]
    return [*arguments, *more]


def test_the_run_folder_has_all_that_the_interface_names(finished):
    for name in (
        "config.yaml", "command.txt", "env.json", "train.log", "metrics.csv", "verification.json",
        "verification.csv", "curves.png", "checkpoints/last/manifest.json",
        "checkpoints/best/backbone.params", "export/model-symbol.json", "export/model-0000.params",
        "export/model.json",
    ):  # fmt: skip
        assert (finished / name).stat().st_size, name
    assert list(finished.glob("events.out.tfevents.*"))
    assert (finished / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_config_environment_and_log(finished, noise_set):
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert config["data"]["path"] == noise_set.data
    assert config["train"]["steps"] == 6
    assert config["optimizer"]["momentum"] == 0.9  # resolved: defaults too
    environment = json.loads((finished / "env.json").read_text())
    assert {"gluonface", "python", "packages", "cpu", "OMP_NUM_THREADS"} <= set(environment)
    log = (finished / "train.log").read_text()
    for words in ("step 4/6", "loss", "acc", "lr", "img/s", "data wait", "ETA", "verification at"):
        assert words in log


def test_metrics_and_verification(finished):
    with open(finished / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    assert float(rows[-1]["lr"]) == 0.0  # the cosine has arrived
    history = json.loads((finished / "verification.json").read_text())["history"]
    assert [entry["step"] for entry in history] == [0, 3, 6]
    assert 0 <= history[-1]["packs"]["noise"]["accuracy"] <= 1


def test_the_export_is_the_network(finished, noise_set):
    from gluonface.data import VerificationPack
    from gluonface.deploy import Embedder

    images = VerificationPack.load(noise_set.pack).images(1)
    for source in (finished, finished / "export/model"):
        assert Embedder.load(source).embed(images).shape == (2, 8)
    card = json.loads((finished / "export/model.json").read_text())
    assert card["training_data"] == noise_set.data
    assert card["training"]["step"] in (0, 3, 6)


def test_tensorboard_events_hold_the_scalars(finished):
    content = b"".join(path.read_bytes() for path in finished.glob("events.out.tfevents.*"))
    for tag in (b"train/loss", b"train/lr", b"verification/noise/accuracy"):
        assert tag in content


def test_a_finished_run_is_left_alone_and_resumes_to_itself(finished, noise_set, capsys):
    before = (finished / "metrics.csv").read_text()
    params = (finished / "export/model-0000.params").read_bytes()
    assert main(command(noise_set, finished)) == 2
    assert "--resume" in capsys.readouterr().err
    assert main(["train", "--run", str(finished), "--resume"]) == 0
    assert (finished / "metrics.csv").read_text() == before
    assert (finished / "export/model-0000.params").read_bytes() == params
    assert len((finished / "command.txt").read_text().splitlines()) == 4


def test_a_run_started_from_another_run(finished, noise_set, tmp_path):
    run = tmp_path / "tuned"
    more = ["--init", str(finished), "--set", "optimizer.lr=0.0001"]
    assert main(command(noise_set, run, *more)) == 0
    first = json.loads((run / "verification.json").read_text())["history"][0]
    source = json.loads((finished / "verification.json").read_text())
    stored = next(e for e in source["history"] if e["step"] == source["best"]["step"])
    # Before its first step it is as good as what it started from.
    if source["best"]["step"]:
        assert first["packs"]["noise"]["auc"] == stored["packs"]["noise"]["auc"]


def test_dry_run_prints_the_resolved_settings(capsys, caplog):
    arguments = ["train", "--recipe", "mobilefacenet-arcface", "--dry-run"]
    assert main([*arguments, "--ctx", "cpu0,cpu1", "--set", "optimizer.lr=1e-3"]) == 0
    tree = yaml.safe_load(capsys.readouterr().out)
    assert tree["optimizer"]["lr"] == 1e-3
    assert tree["data"] == {**tree["data"], "path": None, "batch_size": 1760}
    assert tree["train"]["ctx"] == "cpu0,cpu1"
    assert "without --data only the settings were checked" in caplog.text


def test_the_loss_of_the_command_line(capsys):
    words = ["train", "--recipe", "mobilefacenet-arcface", "--dry-run"]
    for more, want in (
        (["--loss", "lvface"], {"name": "lvface"}),
        (
            ["--loss", "{name: lvface, margin: 0.3}", "--set", "loss.form=shared"],
            {"name": "lvface", "margin": 0.3, "form": "shared"},
        ),
        (["--set", "loss=[uniface, {ring: 0.1}]"], {"name": "uniface", "auxiliary": {"ring": 0.1}}),
    ):
        assert main([*words, *more]) == 0
        found = yaml.safe_load(capsys.readouterr().out)["loss"]
        assert found == {"auxiliary": {}, "changes": {}, **want}  # nothing of the recipe's is left
    assert main([*words, "--loss", "[lvface, {ring: 1}, ring]"]) == 2
    assert "names a loss twice" in capsys.readouterr().err
    assert main(["train", "--help"]) == 0
    assert "--loss LOSS" in capsys.readouterr().out


def test_dry_run_checks_what_the_run_checks_and_tells_all(
    tiny, noise_set, finished, tmp_path, capsys, caplog
):
    caplog.set_level("INFO")
    run = tmp_path / "run"
    assert main(command(noise_set, run, "--dry-run")) == 0
    assert "nothing is wrong: " in caplog.text
    assert " 6 steps (" in caplog.text
    assert not run.exists()
    wrong = [
        *("--ctx", "gpu7", "--packs", str(tmp_path / "none.bin")),
        *("--set", "data.batch_size=100000", "--set", "loss.margin=9"),
    ]
    for more in (["--dry-run"], []):
        assert main([*command(noise_set, run, *wrong), *more]) == 2
        error = capsys.readouterr().err
        for words in ("no gpu7", "none.bin cannot be read", "take a smaller batch", "margin"):
            assert words in error
    assert main(command(noise_set, finished, "--dry-run")) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert main(command(noise_set, run, "--dry-run", "--set", "train.dtype=float16")) == 2
    assert "float16' needs GPUs" in capsys.readouterr().err


def test_a_run_is_resumed_from_another_folder(tiny, noise_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, pack = (os.path.relpath(path, tmp_path) for path in (noise_set.data, noise_set.pack))
    arguments = ["--set", "train.steps=2", "--data", data, "--packs", pack]
    assert main([*command(noise_set, "run", *arguments)]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["train", "--run", "../run", "--resume", "--set", "train.steps=4"]) == 0
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert os.path.isabs(config["data"]["path"])
    assert all(os.path.isabs(path) for path in config["eval"]["packs"])


def test_the_advice_to_resume_has_the_processes_of_the_run(monkeypatch):
    import argparse

    from gluonface.cli.train import resume_command

    args = argparse.Namespace(folder="my run")
    for name in ("HOROVOD_SIZE", "HOROVOD_CROSS_SIZE"):
        monkeypatch.delenv(name, raising=False)
    alone = "gluonface train --run 'my run' --resume"
    assert resume_command(args) == alone
    monkeypatch.setenv("HOROVOD_SIZE", "4")
    assert resume_command(args) == f"horovodrun -np 4 {alone}"
    monkeypatch.setenv("HOROVOD_CROSS_SIZE", "2")
    assert resume_command(args) == f"horovodrun -np 4 -H HOSTS {alone}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--run DIR is missing"),
        (["--resume"], "--resume needs --run"),
        (["--resume", "--run", "nowhere"], "holds no run"),
        (["--recipe", "nothing"], "mobilefacenet-arcface"),
        (["--set", "optimizer.larning_rate=3"], "unknown configuration key"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(arguments, words, capsys):
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_missing_data_packs_and_files_in_the_way(tiny, noise_set, tmp_path, capsys):
    nowhere = tmp_path / "nowhere"
    assert main(["train", "--run", str(tmp_path / "r"), "--data", str(nowhere)]) == 2
    assert str(nowhere) in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(command(noise_set, tmp_path / "file")) == 2
    assert "is a file" in capsys.readouterr().err
    assert main(command(noise_set, tmp_path / "r", "--packs", str(nowhere))) == 2
    assert str(nowhere) in capsys.readouterr().err
    assert not (tmp_path / "r").exists()  # nothing was begun


def test_another_recipe_on_resume(finished, capsys):
    arguments = ["train", "--run", str(finished), "--resume", "--recipe", "finetune"]
    assert main(arguments) == 2
    assert "finetune" in capsys.readouterr().err


def test_a_loss_that_is_not_a_number_is_status_1(tiny, noise_set, tmp_path, capsys):
    more = ["--set", "optimizer.name=sgd", "--set", "optimizer.lr=1e30", "--set", "train.steps=20"]
    run = tmp_path / "run"
    assert main(command(noise_set, run, *more)) == 1
    error = capsys.readouterr().err
    assert "largest logit" in error
    assert "learning rate" in error
    assert "step" in (run / "train.log").read_text()


def test_a_damaged_checkpoint_is_named_with_those_to_go_on_from(tiny, noise_set, tmp_path, capsys):
    run = tmp_path / "run"
    more = ["--set", "checkpoint.every=2", "--set", "checkpoint.keep=9"]
    assert main(command(noise_set, run, *more)) == 0
    metrics, export = (
        (run / name).read_bytes() for name in ("metrics.csv", "export/model-0000.params")
    )
    last = (run / "checkpoints/last").resolve()
    for name in ("head-mean-000000000.npy", "config.yaml", "manifest.json"):
        content = (last / name).read_bytes()
        (last / name).write_bytes(content[:-9])
        capsys.readouterr()
        assert main(["train", "--run", str(run), "--resume"]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert f"{last / name}" in error
        assert error.endswith("with --resume-from STEP; whole: step 0, 2, 3, 4")
    assert main(["train", "--run", str(run), "--resume-from", "5"]) == 2
    assert (
        "no checkpoint of step 5; there are those of step 0, 2, 3, 4, 6" in capsys.readouterr().err
    )
    assert main(["train", "--run", str(run), "--resume-from", "3"]) == 0
    assert (run / "export/model-0000.params").read_bytes() == export
    timing = [line.split(",")[:7] for line in metrics.decode().splitlines()]
    assert [
        line.split(",")[:7] for line in (run / "metrics.csv").read_text().splitlines()
    ] == timing
    assert main(["train", "--run", str(run), "--resume"]) == 0


def test_a_cut_configuration_of_the_run_is_refused(finished, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run, symlinks=True)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text("".join(text.splitlines(keepends=True)[:-3]))
    assert main(["train", "--run", str(run), "--resume"]) == 1
    error = capsys.readouterr().err
    assert "config.yaml is damaged, or was edited" in error
    assert "checkpoints/last/config.yaml" in error
    shutil.copy(run / "checkpoints/last/config.yaml", run / "config.yaml")
    assert main(["train", "--run", str(run), "--resume"]) == 0


def test_a_damaged_history_is_named(finished, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run, symlinks=True)
    (run / "verification.json").write_text('{"history": [')
    assert main(["train", "--run", str(run), "--resume"]) == 1
    assert "verification.json is damaged" in capsys.readouterr().err


def test_a_second_process_is_refused_and_told_who_trains(finished, noise_set, capsys):
    lock = FileLock(finished / "run.lock")
    assert lock.acquire() is None
    for arguments in (command(noise_set, finished), ["train", "--run", str(finished), "--resume"]):
        assert main(arguments) == 2
        assert f"is in use: process {os.getpid()} on" in capsys.readouterr().err
    lock.release()
    assert main(["train", "--run", str(finished), "--resume"]) == 0
