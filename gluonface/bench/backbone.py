"""`gluonface bench backbone`: images/s of a backbone in each form, in training and in inference.

The baseline, MXNet's own PReLU, is always measured in the same run, and the forms take turns, so
that other load on the machine slows all of them alike.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import time
import typing

from ..errors import InputError
from ..files import write_json
from .threads import set_threads

__all__ = ["add_arguments", "measure", "measure_inference", "run"]

logger = logging.getLogger(__name__)

FORMS = ("plain", "composed", "fast", "elementwise", "activation")
MEASURED = ("plain", "composed", "fast", "activation")
BASELINE = "plain"
BATCHES = (1, 8, 32, 128)
PRECISIONS = ("float32", "bfloat16", "int8")


def add_arguments(parser):
    """Add the options of `gluonface bench backbone` to `parser`."""
    parser.add_argument("--model", default="mobilefacenet", help="name of the backbone")
    parser.add_argument("--batch-size", type=int, default=32, help="images per batch")
    parser.add_argument(
        "--threads",
        type=int,
        help="OpenMP threads; default: OMP_NUM_THREADS, or else the cores this process may use",
    )
    parser.add_argument(
        "--forms",
        nargs="+",
        choices=FORMS,
        default=MEASURED,
        help="forms of PReLU to train; plain, MXNet's own, is always measured; fast is our own "
        "operator, composed is made of oneDNN's; activation has ReLU in its place, as a bound",
    )
    parser.add_argument(
        "--inference-batches",
        type=int,
        nargs="*",
        default=BATCHES,
        metavar="N",
        help="batch sizes at which the plain graph, the rewritten one, onnxruntime and OpenVINO "
        "are compared; none skips it",
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=PRECISIONS,
        default=("float32",),
        help="of inference. bfloat16 adds OpenVINO in it; int8 adds OpenVINO and onnxruntime with "
        "the 8-bit file, whose weights are random as those of all forms",
    )
    parser.add_argument(
        "--profile",
        nargs="+",
        metavar="NAME",
        help="instead, print the share of each operator in the inference of these backbones",
    )
    parser.add_argument("--repeats", type=int, default=5, help="turns of each form")
    parser.add_argument("--json", metavar="FILE", help="write the result to FILE as well")


def _check_positive(**counts):
    for name, value in counts.items():
        if value < 1:
            raise InputError(f"the {name.replace('_', ' ')} is {value}; expected at least 1")


def measure(
    model: str, batch_size: int = 32, forms: typing.Iterable[str] = MEASURED, repeats: int = 5
) -> list[dict]:
    """Time inference and training of one backbone in several forms, taking turns.

    A training step is forward, backward and an SGD update with momentum; the loss is the sum of
    the squared embeddings, so that nothing but the backbone is timed.

    Parameters
    ----------
    model : str
        Name of the backbone.
    batch_size : int, default 32
    forms : sequence of {"plain", "composed", "fast", "elementwise", "activation"}
        "plain", the baseline, is measured whether named or not.
    repeats : int, default 5
        Measurements of each form, after one that is not counted.

    Returns
    -------
    list of dict
        One per form: `form`, images/s as `inference`, `inference_median`, `training` and
        `training_median` (the first of each pair is the best), and `inference_ratio` and
        `training_ratio` of the best to the baseline's best.
    """
    from .._compat import mx
    from ._backbone_variants import training_net

    _check_positive(batch_size=batch_size, number_of_repeats=repeats)
    forms = [form for form in FORMS if form in forms or form == BASELINE]
    images: typing.Any = None
    subjects = {}
    for form in forms:
        net = training_net(model, form)
        trainer = mx.gluon.Trainer(
            net.collect_params(), "sgd", {"learning_rate": 1e-3, "momentum": 0.9}
        )
        subjects[form] = (net, trainer)
        images = mx.nd.random.uniform(0, 255, (batch_size, 3, *net.cfg.input_size))

    def infer(net, trainer):
        net(images).wait_to_read()

    def train(net, trainer):
        with mx.autograd.record():
            loss = net(images).square().sum()
        loss.backward()
        trainer.step(batch_size)
        mx.nd.waitall()

    seconds: dict = {(form, task): [] for form in forms for task in (infer, train)}
    for turn in range(repeats + 1):
        for form in forms:
            for task in (train, infer):
                start = time.perf_counter()
                task(*subjects[form])
                if turn:  # the first one traces the network and makes the operators
                    seconds[form, task].append(time.perf_counter() - start)
        logger.info("turn %d of %d done", turn, repeats)

    rows = []
    for form in forms:
        row: dict = {"form": form}
        for task, name in ((infer, "inference"), (train, "training")):
            times, base = seconds[form, task], seconds[BASELINE, task]
            row[name] = batch_size / min(times)
            row[f"{name}_median"] = batch_size / statistics.median(times)
            row[f"{name}_ratio"] = min(base) / min(times)
        rows.append(row)
    return rows


def measure_inference(
    model: str,
    batches: typing.Sequence[int] = BATCHES,
    repeats: int = 5,
    precisions: typing.Sequence[str] = ("float32",),
) -> list[dict]:
    """Time inference of the plain and the rewritten graph, onnxruntime and OpenVINO in turns.

    Parameters
    ----------
    model : str
        Name of the backbone.
    batches : sequence of int
    repeats : int, default 5
        Turns of at least 0.2 s each.
    precisions : sequence of {"float32", "bfloat16", "int8"}
        "float32" is measured whether named or not.

    Returns
    -------
    list of dict
        One per batch size and form: `batch_size`, `form`, images/s as `best` and `median`, and
        `to_plain` and `to_onnxruntime`, the ratios of the best (None without onnxruntime), and
        for other precisions `to_float32`, that to the same engine in float32 (else None).
    """
    import numpy as np

    from ._backbone_variants import inference_forms

    _check_positive(batch_size=min(batches), number_of_repeats=repeats)
    forms, size = inference_forms(model, precisions)
    rows = []
    for batch in batches:
        images = np.random.RandomState(0).uniform(0, 255, (batch, 3, *size)).astype(np.float32)
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        for _ in range(repeats):
            for form, function in forms.items():
                function(images)  # plans for this size, and starts the form's own threads
                end = time.perf_counter() + 0.2
                while True:
                    start = time.perf_counter()
                    function(images)
                    now = time.perf_counter()
                    seconds[form].append(now - start)
                    if now > end:
                        break
        best = {form: min(times) for form, times in seconds.items()}
        for form, times in seconds.items():
            other = best.get("onnxruntime")
            engine, _, precision = form.partition(" ")
            rows.append(
                {
                    "batch_size": batch,
                    "form": form,
                    "best": batch / best[form],
                    "median": batch / statistics.median(times),
                    "to_plain": best["plain"] / best[form],
                    "to_onnxruntime": None if other is None else other / best[form],
                    "to_float32": best[engine] / best[form] if precision else None,
                }
            )
    return rows


def run(args):
    """Measure and print the table."""
    set_threads(args.threads)
    if args.profile:
        return _print_profiles(args.profile, args.repeats)
    rows = measure(args.model, args.batch_size, args.forms, args.repeats)
    threads = os.environ["OMP_NUM_THREADS"]
    write = sys.stdout.write
    write(f"{args.model}, batch {args.batch_size}, OMP_NUM_THREADS={threads}, float32, CPU\n")
    write(f"images/s, best of {args.repeats} (median); x: times the plain form, MXNet's PReLU\n")
    write(f"{'form':12}{'inference':>22}{'x':>7}{'training':>22}{'x':>7}\n")
    for row in rows:
        write(f"{row['form']:12}")
        for task in ("inference", "training"):
            write(f"{row[task]:12.1f} ({row[task + '_median']:7.1f})")
            write(f"{row[task + '_ratio']:7.2f}")
        write("\n")
    inference = []
    if args.inference_batches:
        inference = measure_inference(
            args.model, args.inference_batches, args.repeats, args.precision
        )
        write(
            "\nInference of the exported network, images/s, best (median); x: times onnxruntime\n"
        )
        other = "" if set(args.precision) == {"float32"} else f"{'x float32':>11}"
        write(f"{'batch':>5} {'form':17}{'images/s':>22}{'x plain':>9}{'x':>7}{other}\n")
    for row in inference:
        ratio = "" if row["to_onnxruntime"] is None else f"{row['to_onnxruntime']:7.2f}"
        write(f"{row['batch_size']:5} {row['form']:17}{row['best']:12.1f} ({row['median']:7.1f})")
        same = "" if row["to_float32"] is None else f"{row['to_float32']:11.2f}"
        write(f"{row['to_plain']:9.2f}{ratio}{same}\n")
    if args.json:
        setup = {"model": args.model, "batch_size": args.batch_size, "threads": int(threads)}
        write_json(
            args.json, {**setup, "repeats": args.repeats, "forms": rows, "graphs": inference}
        )
    return 0


def _print_profiles(names, repeats):
    from .profile import CONVOLUTIONS, profile

    for name in names:
        sys.stdout.write(f"{name}\n")
        for operator, share in profile(name, repeats=repeats):
            if share >= 0.005:
                mark = "" if operator in CONVOLUTIONS or share <= 0.25 else "  more than a quarter"
                sys.stdout.write(f"  {operator:28}{100 * share:6.1f} %{mark}\n")
    return 0
