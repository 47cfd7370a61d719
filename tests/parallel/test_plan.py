import pytest

from gluonface.errors import GluonfaceError, InputError
from gluonface.parallel import launch
from gluonface.parallel.plan import PROCESS, plan_head


def test_sizes_by_hand():
    plan = plan_head(1_000_001, 512, 128, ranks=2, sample_rate=0.1, wire_dtype="float16")
    assert (plan.rows, plan.sampled) == (500_001, 50_000)
    assert plan.weight == plan.state == 500_001 * 2048
    assert plan.copies == 2 * 50_000 * 2048
    assert plan.floor == 2 * 500_001 * 2048 + 2 * 50_000 * 2048
    assert plan.logits == 128 * 50_000 * 4
    assert plan.memory == PROCESS + plan.floor + plan.logits + plan.embeddings
    # Of two ranks each sends its half of the embeddings once, and as much of the gradient.
    assert plan.wire["x"] == plan.wire["gx"] == 64 * 512 * 2
    assert plan.sent == sum(plan.wire.values())


def test_what_the_options_change():
    plain = plan_head(10_000, 64, 32)
    assert plain.sent == 0
    assert plain.copies == plain.weight  # the gradient
    assert plan_head(10_000, 64, 32, optimizer="adamw").state == 2 * plain.state
    disk = plan_head(10_000, 64, 32, sample_rate=0.1, centers="disk")
    assert disk.floor == disk.copies
    assert plan_head(10_000, 64, 32, chunk=100).logits == 32 * 100 * 4
    wire = [plan_head(10_000, 64, 32, ranks=k).wire["x"] for k in (2, 4, 8)]
    assert wire == [32 * 64 * 4 * (k - 1) // k for k in (2, 4, 8)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((0, 8, 8), "classes is 0"), ((8, 8, 8, 0), "ranks is 0"), ((8, 8, 8, 1, 1.5), "rate is 1.5")],
)
def test_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        plan_head(*arguments)


@pytest.mark.parametrize(
    ("status", "words"),
    [("137", r"rank 3 was killed by signal 9 \(SIGKILL\)"), ("-9", "SIGKILL"), ("2", "status 2")],
)
def test_a_job_that_failed_names_the_rank(monkeypatch, status, words):
    def failed(*args, **kwargs):
        raise RuntimeError(f"Horovod detected ...:\nProcess name: 3\nExit code: {status}\n")

    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(launch.runpy, "run_module", failed)
    monkeypatch.setattr(launch.sys, "argv", ["launch"])
    with pytest.raises(GluonfaceError, match=words):
        launch.main()
