import json
import os
import pathlib
import subprocess
import sys

import pytest

from gluonface.errors import InputError
from gluonface.head.memory_estimate import MAPPED, PROCESS, estimate_head
from gluonface.parallel import PartialFC


def test_sizes_by_hand():
    plan = estimate_head(1_000_001, 512, 128, ranks=2, sample_rate=0.1, wire_dtype="float16")
    assert (plan.rows, plan.sampled) == (500_001, 50_000)
    assert plan.weight == plan.state == 500_001 * 2048
    assert plan.copies == 2 * 50_000 * 2048
    assert plan.floor == 2 * 500_001 * 2048 + 2 * 50_000 * 2048
    assert plan.logits == 128 * 50_000 * 4
    rest = plan.logits + plan.embeddings + plan.numbers
    assert plan.memory == PROCESS + plan.floor + rest
    assert 0 < plan.numbers < 0.05 * plan.floor
    # Of two ranks each sends its half of the embeddings once, and as much of the gradient.
    assert plan.wire["x"] == plan.wire["gx"] == 64 * 512 * 2
    assert plan.sent == sum(plan.wire.values())


def test_a_binary_loss_that_updates_its_centres():
    plan = estimate_head(1_000_000, 512, 64, lazy=True)
    assert plan.copies == 0  # neither rows nor gradients
    assert plan.logits == 64 * 1_000_000 * 4  # derivatives by the cosines
    more = estimate_head(1_000_000, 512, 512, ranks=2, lazy=True)
    assert more.logits < 2**24  # computed twice, kept never
    assert set(more.wire) == {"labels", "x", "grad", "gx", "loss", "gshared"}
    assert more.wire["loss"] == 512 * 4
    sampled = estimate_head(1_000_000, 512, 64, sample_rate=0.1, lazy=True)
    assert sampled.copies == 100_000 * 2048  # the rows


def test_a_bank_is_as_large_as_the_centres():
    plain, more = (estimate_head(10_000, 64, 32, two_anchors=each) for each in (False, True))
    assert plain.banks == 0
    assert more.banks == more.weight
    assert more.floor == plain.floor + plain.weight
    disk = estimate_head(10_000, 64, 32, centers="disk", two_anchors=True)
    assert disk.floor == disk.copies  # on disk as well
    assert disk.mapped == 10_000 * 256 * 3
    both = estimate_head(10_000, 64, 32, ranks=2, two_anchors=True, uss="float16")
    assert both.banks == 5_000 * (256 + 128)
    # Seven numbers of each sample and shard in place of four; of USS the gradient of the
    # embeddings, losses and their gradients, and one number.
    wire = estimate_head(10_000, 64, 32, ranks=2).wire
    assert both.wire["softmax"] * 4 == wire["softmax"] * 7
    assert both.wire["uss"] == wire["gx"] + (2 * 32 + 1) * 4


def test_what_the_options_change():
    plain = estimate_head(10_000, 64, 32)
    assert plain.sent == 0
    assert plain.copies == plain.weight  # the gradient
    assert estimate_head(10_000, 64, 32, optimizer="adamw").state == 2 * plain.state
    disk = estimate_head(10_000, 64, 32, sample_rate=0.1, centers="disk")
    assert disk.floor == disk.copies
    assert disk.mapped == 10_000 * 256 * 2
    assert estimate_head(10**6, 64, 32, sample_rate=0.1, centers="disk").mapped == MAPPED
    assert estimate_head(10_000, 64, 32, chunk=100).logits == 32 * 100 * 4
    wire = [estimate_head(10_000, 64, 32, ranks=k).wire["x"] for k in (2, 4, 8)]
    assert wire == [32 * 64 * 4 * (k - 1) // k for k in (2, 4, 8)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((0, 8, 8), "classes is 0"), ((8, 8, 8, 0), "ranks is 0"), ((8, 8, 8, 1, 1.5), "rate is 1.5")],
)
def test_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        estimate_head(*arguments)


COMMAND = "import sys; from gluonface.cli import main; sys.exit(main(sys.argv[1:]))"


PLANNED = [
    ("cosface", centers, rate, size)
    for centers in ("memory", "host", "disk")
    for rate in (1.0, 0.1)
    for size in (128, 512)
]
PLANNED += [("lvface", centers, 0.1, 128) for centers in ("memory", "disk")]


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "centers", "rate", "size"), PLANNED)
def test_memory_as_planned(loss, centers, rate, size, tmp_path):
    """On one rank; docs/partial_fc.rst has the sizes measured on two, and the traffic."""
    classes = 300_000 if rate == 1.0 else 600_000
    found = tmp_path / "found.json"
    steps = "2" if rate == 1.0 else "40"  # with samples of other sizes it must not grow
    options = ["--classes", str(classes), "--embedding-size", str(size), "--steps", steps]
    options += ["--loss", loss]
    options += ["--sample-rate", str(rate), "--batch-size", "128", "--json", str(found)]
    if centers != "memory":
        options += ["--centers", centers]
    if centers == "disk":
        options += ["--centers-path", str(tmp_path)]
    root = str(pathlib.Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", COMMAND, "bench", "head", *options]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (step,) = json.loads(found.read_text())["steps"]
    assert step["planned"] == pytest.approx(step["peak"], rel=0.1)
    # As the arithmetic goes, and not by a lucky constant.
    two_anchors = loss == "lvface"
    plan = estimate_head(classes, size, 128, 1, rate, centers=centers, two_anchors=two_anchors)
    own = step["peak"] - step["process"]
    assert own == pytest.approx(plan.memory - PROCESS + (39 << 20), abs=60 << 20)


def test_sampling_few_classes_is_warned_of(caplog):
    for classes, rate, warned in ((400_000, 0.01, 1), (500_000, 0.01, 0), (400, 1.0, 0)):
        caplog.clear()
        PartialFC("cosface", classes, 2, sample_rate=rate)
        assert sum("costs accuracy for no speed" in text for text in caplog.messages) == warned
