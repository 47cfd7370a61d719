"""Whole runs on several processes: one process's numbers, resume, reshard, kills, mistakes."""

import contextlib
import json
import pathlib
import re
import signal
import time

import numpy as np
import pytest
import training_fixtures
from runs import SAMPLED, TINY, assert_close, finish, launch, losses, stored

from gluonface.data import RecordWriter, images

HERE = pathlib.Path(__file__).parent

pytestmark = pytest.mark.slow
noise_set = training_fixtures.noise_set
tiny = training_fixtures.tiny


@pytest.fixture(scope="module")
def data(noise_set):
    return noise_set.data


def test_two_processes_are_one(tmp_path, data):
    """Same global batches, all classes; without BatchNorm nothing depends on the split."""
    finish(1, tmp_path / "one", data)
    finish(2, tmp_path / "two", data)
    # The same sums in another order, twelve updates long.
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=2e-5)
    assert_close(stored(tmp_path / "two"), stored(tmp_path / "one"), 2e-5)


@pytest.mark.parametrize("loss", ["arcface", "curricularface"])
def test_replicated_centres_of_two_processes_are_one(tmp_path, data, loss):
    """Stopped in between; clipping counts the centres once; the second has statistics."""
    settings = (f"loss.name={loss}", "optimizer.clip_norm=0.5", "optimizer.momentum=0.9")
    finish(1, tmp_path / "one", data, settings=settings)
    settings = (*settings, "head.mode=replicated")
    if loss == "arcface":  # the state of the other is updated by each part of a batch
        settings = (*settings, "train.accumulate=2")
    done = launch(2, tmp_path / "two", data, point="step:7@1", settings=settings)
    assert done.returncode != 0
    finish(2, tmp_path / "two", data, "--resume", settings=settings)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=2e-5)
    assert_close(stored(tmp_path / "two"), stored(tmp_path / "one"), 2e-5)


@pytest.mark.parametrize("mode", ["frozen", "catchup", "reset"])
def test_four_two_one_and_three_processes_are_one(tmp_path, data, mode):
    """Resharded three times, each time after a kill; sampling by hash."""
    settings = (*SAMPLED, f"head.momentum_mode={mode}")
    finish(1, tmp_path / "whole", data, settings=settings)
    run = tmp_path / "run"
    for processes, rank in ((4, 3), (2, 0), (1, 0)):
        resume = ("--resume",) if run.exists() else ()
        done = launch(processes, run, data, *resume, point=f"step:4@{rank}", settings=settings)
        assert done.returncode != 0
    finish(3, run, data, "--resume", settings=settings)
    manifest = json.loads((run / "checkpoints/last/manifest.json").read_text())
    assert manifest["processes"] == 3
    np.testing.assert_allclose(losses(run), losses(tmp_path / "whole"), rtol=5e-5)
    assert_close(stored(run), stored(tmp_path / "whole"), 5e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "nag", "adamw"])
def test_resume_on_as_many_processes_is_exact(tmp_path, data, optimizer):
    settings = (*SAMPLED, "model.name=tiny", f"optimizer.name={optimizer}", "head.unbiased=true")
    finish(2, tmp_path / "whole", data, settings=settings)
    done = launch(2, tmp_path / "run", data, point="step:6@1", settings=settings)
    assert done.returncode != 0
    finish(2, tmp_path / "run", data, "--resume", settings=settings)
    assert losses(tmp_path / "run").tolist() == losses(tmp_path / "whole").tolist()
    want = stored(tmp_path / "whole")
    for name, value in stored(tmp_path / "run").items():
        assert value.tobytes() == want[name].tobytes(), name


def test_a_change_of_the_rate_and_the_loss_is_exact_on_two_processes(tmp_path, data):
    """A stop at the change goes on at the other rate; a kill near it is resumed, bit for bit."""
    changing = ("model.name=tiny", "head.sample_rate={0: 0.5, 6: 1.0}")
    finish(2, tmp_path / "whole", data, settings=changing)
    run = tmp_path / "stopped"
    settings = ("model.name=tiny", *SAMPLED)
    assert launch(2, run, data, point="step:7@1", settings=settings).returncode != 0
    settings = ("model.name=tiny", "head.sample_rate=1.0")
    finish(2, run, data, "--resume", settings=settings)
    assert losses(run).tolist() == losses(tmp_path / "whole").tolist()
    want = stored(tmp_path / "whole")
    for name, value in stored(run).items():
        assert value.tobytes() == want[name].tobytes(), name
    settings = (*changing, "loss.changes={7: curricularface}")
    finish(2, tmp_path / "both", data, settings=settings)
    run = tmp_path / "killed"
    assert launch(2, run, data, point="step:9@0", settings=settings).returncode != 0
    finish(2, run, data, "--resume", settings=settings)
    assert losses(run).tolist() == losses(tmp_path / "both").tolist()


STAGES = (
    "head.sample_rate={0: 0.5, 9: 1.0}",
    "loss.changes={2: {name: lvface, scale: 16}, 9: {name: lvface, scale: 16, bank: frozen}}",
    "optimizer.momentum=0.9",
)


@pytest.mark.parametrize("form", ["bank", "shared"])
def test_stages_of_lvface_on_four_two_and_one_processes_are_one(tmp_path, data, form):
    """Resharded in the second and in the third stage."""
    settings = tuple(each.replace("scale: 16", f"scale: 16, form: {form}") for each in STAGES)
    finish(1, tmp_path / "whole", data, settings=settings)
    run = tmp_path / "run"
    for processes, point in ((4, "step:5@3"), (2, "step:8@1")):
        resume = ("--resume",) if run.exists() else ()
        done = launch(processes, run, data, *resume, point=point, settings=settings)
        assert done.returncode != 0
    finish(1, run, data, "--resume", settings=settings)
    np.testing.assert_allclose(losses(run), losses(tmp_path / "whole"), rtol=5e-5)
    assert_close(stored(run), stored(tmp_path / "whole"), 5e-5)
    assert stored(run)["bank"].any()


def test_stages_of_lvface_are_resumed_exactly_on_two_processes(tmp_path, data):
    finish(2, tmp_path / "whole", data, settings=STAGES)
    done = launch(2, tmp_path / "run", data, point="step:6@1", settings=STAGES)
    assert done.returncode != 0
    finish(2, tmp_path / "run", data, "--resume", settings=STAGES)
    assert losses(tmp_path / "run").tolist() == losses(tmp_path / "whole").tolist()
    want = stored(tmp_path / "whole")
    for name, value in stored(tmp_path / "run").items():
        assert value.tobytes() == want[name].tobytes(), name


USS = (
    "loss={name: uniface, scale: 16, auxiliary: {uss: {scale: 16, memory: MEMORY}}}",
    "loss.auxiliary.uss.schedule={0: 0, 4: 1}",
    "optimizer.momentum=0.9",
)


@pytest.mark.parametrize(
    ("memory", "more"),
    [("float32", ()), ("float16", SAMPLED), ("float16", ("head.mode=replicated",))],
)
def test_uss_on_four_two_and_one_processes_is_one(tmp_path, data, memory, more):
    """Resharded before and after it begins."""
    settings = (*(each.replace("MEMORY", memory) for each in USS), *more)
    finish(1, tmp_path / "whole", data, settings=settings)
    run = tmp_path / "run"
    for processes, point in ((4, "step:5@3"), (2, "step:6@1")):
        resume = ("--resume",) if run.exists() else ()
        done = launch(processes, run, data, *resume, point=point, settings=settings)
        assert done.returncode != 0
    finish(1, run, data, "--resume", settings=settings)
    np.testing.assert_allclose(losses(run), losses(tmp_path / "whole"), rtol=5e-5)
    # Of half precision a number may be rounded to the other side.
    assert_close(stored(run), stored(tmp_path / "whole"), 5e-5 if memory == "float32" else 1e-3)
    assert stored(run)["last_embedding"].dtype == memory
    assert stored(run)["last_embedding"].any(axis=1).all()


def test_uss_is_resumed_exactly_on_two_processes(tmp_path, data):
    settings = tuple(each.replace("MEMORY", "float16") for each in USS)
    finish(2, tmp_path / "whole", data, settings=settings)
    done = launch(2, tmp_path / "run", data, point="step:6@1", settings=settings)
    assert done.returncode != 0
    finish(2, tmp_path / "run", data, "--resume", settings=settings)
    assert losses(tmp_path / "run").tolist() == losses(tmp_path / "whole").tolist()
    want = stored(tmp_path / "whole")
    for name, value in stored(tmp_path / "run").items():
        assert value.tobytes() == want[name].tobytes(), name


def test_a_score_is_reached_on_all_processes_at_once(tmp_path, data):
    settings = ("head.sample_rate={0: 0.5, score 0.05: 1.0}", "train.steps=20", "optimizer.lr=0.2")
    done = finish(2, tmp_path / "two", data, settings=settings)
    assert "the sample rate is 1 from step" in done.stderr
    finish(1, tmp_path / "one", data, settings=settings)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=5e-5)


@pytest.fixture(scope="module")
def teacher(tiny, data, tmp_path_factory):
    """Return (SOURCE, embeddings on disk) of a teacher with another embedding size."""
    from gluonface.cli import main
    from gluonface.deploy import export_model
    from gluonface.model_zoo import get_model

    folder = tmp_path_factory.mktemp("teacher")
    export_model(get_model("tiny-plain", embedding_size=6), folder / "net")
    words = ["embed", "--model", str(folder / "net"), "--input", data, "--engine", "mxnet"]
    assert main([*words, "--views", "--dtype", "float32", "--out", str(folder / "e.npy")]) == 0
    return str(folder / "net"), str(folder / "e.npy")


LOSSES = (
    "loss.auxiliary={kd_cosine: 3, kd_l2: 1, rkd_distance: 5, rkd_angle: 5, ekd: 1, kd_logits: 0.2}"
)


@pytest.mark.parametrize("settings", [(), SAMPLED, ("train.accumulate=2",)])
def test_two_processes_learn_from_a_teacher_as_one(tmp_path, data, teacher, settings):
    """Every loss, the gradients of the centres by two steps a batch, and an exact resume."""
    more = ("--teacher-embeddings", teacher[1])
    settings = (*settings, LOSSES, "teacher.centers=means", "optimizer.momentum=0.9")
    finish(2, tmp_path / "two", data, *more, settings=settings)
    if "train.accumulate=2" not in settings:  # which makes other batches of two than of one
        finish(1, tmp_path / "one", data, *more, settings=settings)
        np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-4)
        assert_close(stored(tmp_path / "two"), stored(tmp_path / "one"), 1e-4)
    run = tmp_path / "killed"
    done = launch(2, run, data, *more, point="backward:6@1", settings=settings)
    assert done.returncode != 0
    finish(2, run, data, "--resume", settings=settings)
    assert losses(run).tolist() == losses(tmp_path / "two").tolist()
    want = stored(tmp_path / "two")
    for name, value in stored(run).items():
        assert value.tobytes() == want[name].tobytes(), name


def test_a_network_teaches_two_processes(tmp_path, data, teacher):
    settings = ("loss.auxiliary={kd_cosine: 3, rkd_distance: 5}", "teacher.engine=mxnet")
    finish(2, tmp_path / "line", data, "--teacher", teacher[0], settings=settings)
    finish(2, tmp_path / "disk", data, "--teacher-embeddings", teacher[1], settings=settings)
    np.testing.assert_allclose(losses(tmp_path / "line"), losses(tmp_path / "disk"), rtol=1e-3)


@pytest.mark.parametrize("point", ["backward:5@1", "rows:2@1", "write:2@0", "backward:5@0"])
def test_a_killed_process_ends_the_job_and_resume_goes_on(tmp_path, data, point):
    run, rank = tmp_path / "run", point[-1]
    done = launch(2, run, data, point=point)
    ended = time.time()
    assert done.returncode != 0
    other = 1 - int(rank)
    assert f"[{other}]<stderr>:gluonface train: error: rank {rank} ended" in done.stderr
    assert f"rank {rank} was killed" in done.stderr  # by the launcher
    killed = float(re.search(rf"{point.split(':')[0]} at ([0-9.]+)", done.stderr)[1])
    assert ended - killed < 30
    last = run / "checkpoints/last"
    assert json.loads((last / "manifest.json").read_text())["trainer"]["progress"]["step"] == 3
    finish(2, run, data, "--resume")
    finish(2, tmp_path / "whole", data)
    assert losses(run).tolist() == losses(tmp_path / "whole").tolist()


def test_accumulation_is_one_large_batch(tmp_path, data):
    finish(2, tmp_path / "whole", data)
    finish(2, tmp_path / "parts", data, settings=("train.accumulate=3",))
    np.testing.assert_allclose(losses(tmp_path / "parts"), losses(tmp_path / "whole"), rtol=2e-5)
    assert_close(stored(tmp_path / "parts"), stored(tmp_path / "whole"), 2e-5)


def test_clipping_counts_the_centres_of_all_processes(tmp_path, data):
    settings = ("optimizer.clip_norm=0.5", *SAMPLED)
    finish(1, tmp_path / "one", data, settings=settings)
    finish(2, tmp_path / "two", data, settings=settings)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=2e-5)
    assert_close(stored(tmp_path / "two"), stored(tmp_path / "one"), 2e-5)


def test_float16_on_the_wire_stays_near(tmp_path, data):
    settings = ("optimizer.wire_dtype=float16", "head.wire_dtype=float16")
    finish(2, tmp_path / "wide", data)
    finish(2, tmp_path / "narrow", data, settings=settings)
    narrow, wide = losses(tmp_path / "narrow"), losses(tmp_path / "wide")
    assert (narrow != wide).any()
    np.testing.assert_allclose(narrow, wide, rtol=0.02)  # 11 bits, 12 updates


def test_a_number_that_is_none_stops_all_processes_and_names_the_rank(tmp_path, data):
    done = launch(2, tmp_path / "run", data, point="nan:5@1")
    assert done.returncode != 0
    assert "the loss is nan at step 5 on rank 1" in done.stderr
    for rank in (0, 1):
        assert f"[{rank}]<stderr>:gluonface train: error: the loss is nan" in done.stderr


def test_a_skipped_step_is_skipped_by_all(tmp_path, data):
    done = finish(
        2, tmp_path / "run", data, point="nan:5@1", settings=("optimizer.max_skips=1", *SAMPLED)
    )
    assert "step 5 is left out on all ranks" in done.stderr
    assert np.isfinite(np.delete(losses(tmp_path / "run"), 4)).all()
    for value in stored(tmp_path / "run").values():
        assert np.isfinite(value).all()


def test_a_mistake_of_one_process_is_an_error_of_all(tmp_path, data):
    done = launch(2, tmp_path / "run", "nowhere")
    assert done.returncode != 0
    assert "nowhere" in done.stderr
    done = launch(5, tmp_path / "run", data)  # 24 images over 5
    assert done.returncode != 0
    assert "cannot be divided over 5 processes" in done.stderr


def said_by_both(done):
    """Return the errors of rank 0 and rank 1 of a job that failed."""
    assert done.returncode != 0
    found = dict(re.findall(r"\[([01])\]<stderr>:gluonface train: error: (.*)", done.stderr))
    assert sorted(found) == ["0", "1"], done.stderr
    return found["0"], found["1"]


def test_processes_that_do_not_agree_are_told_what_and_who(tmp_path, data):
    run = tmp_path / "run"
    with RecordWriter(tmp_path / "more") as writer:  # of 8 people instead of 6
        for number, image in enumerate(training_fixtures.noise(48, 0)):
            writer.add(images.encode(image, 101), number // 6)
    for wrong, words in (
        (("--data", str(tmp_path / "more")), "number of classes is 6 on rank 0; 8 on rank 1"),
        (("--set", "optimizer.lr=0.5"), "optimizer.lr is 0.05 on rank 0; 0.5 on rank 1"),
    ):
        said = said_by_both(launch(2, run, data, rank_1=wrong))
        assert words in said[0]
        assert said[0] == said[1]
    said = said_by_both(launch(2, run, data, rank_1=("--run", str(tmp_path / "elsewhere"))))
    for text in said:
        assert "the run folder must be on a file system that all machines share" in text
    said = said_by_both(launch(2, run, data))  # it has begun
    assert "already holds a run" in said[0]
    assert said[1] == f"rank 0 failed: {said[0]}"


def test_a_process_that_stands_still_is_named(tmp_path, data, monkeypatch):
    """And the collective is, though Python waits for its outcome elsewhere."""
    monkeypatch.setenv("HOROVOD_STALL_CHECK_TIME_SECONDS", "4")
    monkeypatch.setenv("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", "8")
    done = launch(2, tmp_path / "run", data, point="hang:5@1")
    assert done.returncode != 0
    late = r"rank 0 has waited \d+ s for the numbers of step 5 \(sent before: .*'training.loss'.*\)"
    assert re.search(late + " for rank 1\n", done.stderr), done.stderr
    assert "rank 1 has waited" not in done.stderr
    assert "rank 0 gives up and ends the job" in done.stderr
    assert losses(tmp_path / "run").size == 4


def ranks_of(run):
    """Return {rank: psutil's process} of the living processes that train in a folder."""
    psutil, found = pytest.importorskip("psutil"), {}
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(run) in words and str(TINY) in words and "gluonface.parallel.launch" not in words:
            with contextlib.suppress(psutil.Error, KeyError):
                if "python" in pathlib.Path(process.exe()).name:
                    found[int(process.environ()["HOROVOD_RANK"])] = process
    return found


@contextlib.contextmanager
def training(run, data, **options):
    """Start a long run on two processes; yield its launcher when some steps are done."""
    process = launch(
        2, run, data, settings=("train.steps=1000000", "log.every=10"), start=True, **options
    )
    try:
        for _ in range(600):
            if (run / "metrics.csv").exists() and losses(run).size:
                break
            time.sleep(0.2)
        yield process
    finally:
        for each in ranks_of(run).values():
            each.kill()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_of_the_launcher_is_saved(tmp_path, data, number):
    """It kills the ranks 5 s after it has told them."""
    run = tmp_path / "run"
    with training(run, data) as process:
        process.send_signal(number)
        said = process.communicate(timeout=60)[0]
    assert said.count("everything is saved") == 2, said
    manifest = json.loads((run / "checkpoints/last/manifest.json").read_text())
    assert manifest["trainer"]["progress"]["step"] > 10


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_rank_that_was_stopped_ends_with_its_job(tmp_path, data, stopped):
    run = tmp_path / "run"
    with training(run, data) as process:
        ranks = ranks_of(run)
        ranks[stopped].suspend()
        ranks[1 - stopped].kill()
        process.communicate(timeout=60)
        assert not ranks_of(run)


def test_a_rank_that_goes_on_after_its_job_was_killed_ends(tmp_path, data):
    """All processes but the stopped one are killed, those of the launcher as well."""
    psutil = pytest.importorskip("psutil")
    run = tmp_path / "run"
    with training(run, data) as process:
        rank = ranks_of(run)[1]
        rank.suspend()
        launcher = psutil.Process(process.pid)
        for each in [launcher, *launcher.children(recursive=True)]:
            if each != rank:
                with contextlib.suppress(psutil.Error):
                    each.kill()
        rank.resume()
        rank.wait(timeout=60)


def test_one_job_at_a_time_writes_to_a_run(tmp_path, data):
    run = tmp_path / "run"
    with training(run, data) as process:
        for more in ((), ("--resume",)):
            said = said_by_both(launch(2, run, data, *more))
            assert "is in use: process" in said[0]
            assert said[1] == f"rank 0 failed: {said[0]}"
        assert process.poll() is None
