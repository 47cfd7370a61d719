"""`gluonface bench head`: time of a classifier step for every loss, against no margin at all.

Each loss takes turns with the plain normalised softmax, so that other load of the machine falls on
both; compare the ratio of their best times. ``--sample-rate`` measures whole steps with their
update instead, on one rank or several, with lower bounds of time and memory. ``--plan`` measures
no head and predicts memory and traffic of any size, for the size of a process with MXNet here.
"""

import dataclasses
import logging
import multiprocessing
import os
import statistics
import sys
import time

from ..errors import InputError
from ..files import write_json
from .threads import set_threads

__all__ = ["add_arguments", "measure", "run"]

logger = logging.getLogger(__name__)

BASELINE = "normface"


def add_arguments(parser):
    """Add the options of `gluonface bench head` to `parser`."""
    parser.add_argument(
        "--loss", nargs="+", metavar="NAME", help="losses to measure; default: all of them"
    )
    parser.add_argument(
        "--batch-size", type=int, help="embeddings per step and rank; default: 128, steps: 64"
    )
    parser.add_argument("--embedding-size", type=int, default=512, help="numbers per embedding")
    parser.add_argument(
        "--classes", type=int, help="number of classes; default: 50000, for steps 1000000"
    )
    parser.add_argument(
        "--threads",
        type=int,
        help="OpenMP threads; default: OMP_NUM_THREADS, or else the cores this process may use",
    )
    parser.add_argument("--repeats", type=int, default=5, help="turns of each loss")
    parser.add_argument("--json", metavar="FILE", help="write the result to FILE as well")
    steps = parser.add_argument_group("whole steps, update included, against their floors")
    steps.add_argument(
        "--sample-rate", type=float, metavar="R", help="share of the classes in a step, 1 for all"
    )
    steps.add_argument("--steps", type=int, default=20, help="steps that count; default: 20")
    steps.add_argument(
        "--parallel",
        choices=("local", "horovod"),
        default="local",
        help="horovod: as a process of horovodrun",
    )
    steps.add_argument("--centers", choices=("memory", "host", "disk"), default="memory")
    steps.add_argument("--centers-path", metavar="DIR", help="for --centers disk")
    steps.add_argument("--optimizer", choices=("sgd", "nag", "adamw"), default="sgd")
    steps.add_argument("--wire-dtype", choices=("float32", "float16"), default="float32")
    steps.add_argument("--chunk", type=int, metavar="N", help="classes computed at a time")
    parser.add_argument(
        "--uss",
        choices=("float32", "float16"),
        help="for --plan: a memory of USS, stored like this",
    )
    parser.add_argument(
        "--plan",
        nargs=5,
        metavar=("C", "D", "N", "RANKS", "R"),
        help="predict memory and traffic: classes, embedding size, images of all ranks in a step, "
        "ranks, sample rate; with --loss (one that keeps embeddings, such as lvface), --uss, "
        "--centers, --optimizer, --wire-dtype and --chunk",
    )


def measure(losses, batch_size=128, embedding_size=512, classes=50_000, repeats=5):
    """Time a step of the classifier, forward and backward, in one process with all classes.

    Parameters
    ----------
    losses : sequence of str
        Names of losses, with their papers' parameters.
    batch_size : int, default 128
    embedding_size : int, default 512
    classes : int, default 50000
    repeats : int, default 5
        Turns of each loss, after one that is not counted.

    Returns
    -------
    list of dict
        One per loss: `loss`, `family`, `ms` and `baseline_ms` (best of all turns), `ms_median`,
        and `ratio`, of `ms` to `baseline_ms`.
    """
    import numpy as np

    from .._compat import mx
    from ..head import PartialFC
    from ..loss import get_loss

    for name, value in (
        ("batch size", batch_size),
        ("embedding size", embedding_size),
        ("number of classes", classes),
        ("number of repeats", repeats),
    ):
        if value < 1:
            raise InputError(f"the {name} is {value}; expected at least 1")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, batch_size)
    embedding = mx.nd.array(rng.normal(size=(batch_size, embedding_size)))
    embedding.attach_grad()

    def step(head):
        start = time.perf_counter()
        with mx.autograd.record():
            loss = head(embedding, labels)
            total = loss.sum()
        total.backward()
        mx.nd.waitall()
        return 1000 * (time.perf_counter() - start)

    base = PartialFC(get_loss(BASELINE, scale=64.0), classes, embedding_size, name="base")
    rows = []
    for name in losses:
        margin = get_loss(name)
        head = PartialFC(margin, classes, embedding_size, name="head")
        times = {"base": [], "head": []}
        for turn in range(repeats + 1):
            for key, each in (("base", base), ("head", head)):
                took = step(each)
                if turn:  # the first one allocates the arrays
                    times[key].append(took)
        rows.append(
            {
                "loss": margin.name,
                "family": margin.family,
                "ms": min(times["head"]),
                "ms_median": statistics.median(times["head"]),
                "baseline_ms": min(times["base"]),
                "ratio": min(times["head"]) / min(times["base"]),
            }
        )
        logger.info("%s done", name)
        del head
    return rows


def run(args):
    """Measure and print the table."""
    from ..loss import LOSSES

    if args.plan is not None:
        return _plan(args)
    set_threads(args.threads)
    if args.sample_rate is not None:
        return _steps(args)
    args.batch_size = 128 if args.batch_size is None else args.batch_size
    args.classes = 50_000 if args.classes is None else args.classes
    losses = [LOSSES.resolve(name) for name in args.loss or LOSSES.list()]
    rows = measure(losses, args.batch_size, args.embedding_size, args.classes, args.repeats)
    threads = os.environ["OMP_NUM_THREADS"]
    write = sys.stdout.write
    write(
        f"head step, batch {args.batch_size}, D={args.embedding_size}, C={args.classes}, "
        f"OMP_NUM_THREADS={threads}, float32, CPU, one process\n"
        f"ms, best of {args.repeats} (median); x: times the normalised softmax without a margin, "
        "measured in turn\n"
        f"{'loss':20}{'family':16}{'ms':>20}{'softmax ms':>13}{'x':>7}\n"
    )
    for row in rows:
        write(
            f"{row['loss']:20}{row['family']:16}{row['ms']:10.1f} ({row['ms_median']:7.1f})"
            f"{row['baseline_ms']:13.1f}{row['ratio']:7.2f}\n"
        )
    if args.json:
        setup = {key: getattr(args, key) for key in ("batch_size", "embedding_size", "classes")}
        setup.update(threads=int(threads), repeats=args.repeats)
        write_json(args.json, {**setup, "losses": rows})
    return 0


def _plan(args):
    from ..head.memory_estimate import FIRST_USE, estimate_head
    from ..loss import get_loss
    from ._head_step import process_size, report_plan

    try:
        classes, size, batch, ranks = (int(value) for value in args.plan[:4])
        rate = float(args.plan[4])
    except ValueError as error:
        raise InputError(
            f"--plan {' '.join(args.plan)}: {error}; expected four whole numbers and a rate"
        ) from error
    options = (args.optimizer, args.centers, args.wire_dtype, args.chunk)
    banks = {"two_anchors": any(get_loss(name).uses_bank for name in args.loss or ())}
    plan = estimate_head(classes, size, batch, ranks, rate, *options, **banks, uss=args.uss)
    plan = dataclasses.replace(plan, process=round(process_size()) + FIRST_USE)  # of this machine
    sys.stdout.write(report_plan(plan, classes, size, batch, ranks, rate))
    if args.json:
        figures = dataclasses.asdict(plan)
        write_json(args.json, {**figures, "memory": plan.memory, "sent": plan.sent})
    return 0


def _steps(args):
    from ..loss import LOSSES
    from ._head_step import measure_step, report, report_ratio

    names = [LOSSES.resolve(name) for name in args.loss or ["cosface"]]
    settings = (
        1_000_000 if args.classes is None else args.classes,
        args.embedding_size,
        64 if args.batch_size is None else args.batch_size,
        args.sample_rate,
        args.steps,
        args.parallel,
        args.centers,
        args.centers_path,
        args.optimizer,
        args.wire_dtype,
        args.chunk,
    )
    found = []
    for name in names:
        if len(names) > 1 and args.parallel == "local":
            # Each in a process of its own: the peak is that of the process so far.
            context = multiprocessing.get_context("spawn")
            with context.Pool(1) as pool:
                result = pool.apply(measure_step, (name, *settings))
        else:
            result = measure_step(name, *settings)
        found.append(result)
        if result["rank"] == 0:
            sys.stdout.write(report(result))
            if len(found) > 1:
                sys.stdout.write(report_ratio(result, found[0]))
            sys.stdout.flush()
    if args.json and found[0]["rank"] == 0:
        write_json(args.json, {"steps": found})
    return 0
