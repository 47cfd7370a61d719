"""Measure the figures that the pages show and write them to docs/results.

    python docs/measure.py                      # all that needs no other data
    python docs/measure.py backbone data        # some
    python docs/measure.py flip sources finetune distillation --faces FOLDER
    OMP_NUM_THREADS=2 python docs/measure.py zoo --seconds 100     # repeat until all are measured
    python docs/measure.py checks                                  # continues after a stop

Run it on an idle machine; only `checks` measures no time. `zoo` writes the table of backbones in
the package. Each other name writes a file in docs/results, which a page includes beside the command
of the measurement. `readme` copies some of these figures into README.rst. `quickstart`,
`pictures` and `log` read the folder runs/ that scripts/quickstart.sh wrote (or --runs DIR).
"""

import argparse
import csv
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"


def gluonface(*words):
    """Run a command; return its standard output."""
    command = [sys.executable, "-m", "gluonface", *map(str, words)]
    sys.stderr.write(f"$ gluonface {' '.join(command[3:])}\n")
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def write(name, headings, rows):
    """Write docs/results/NAME.csv."""
    with open(RESULTS / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([headings, *rows])


def backbone(args, scratch):
    """Images/s of the variants of PReLU in training, and of the engines in inference."""
    rows = []
    for threads in (1, 2):
        file = scratch / f"backbone{threads}.json"
        rest = ["--inference-batches"] if threads == 1 else []  # of engines: two threads
        gluonface("bench", "backbone", "--threads", threads, "--json", file, *rest)
        found = json.loads(file.read_text())
        bound = found["forms"][-1]
        for form in found["forms"]:
            row = [threads, form["form"]]
            for task in ("training", "inference"):
                row += [
                    f"{form[task]:.0f}",
                    f"{form[f'{task}_ratio']:.1f}",
                    f"{form[task] / bound[task]:.2f}",
                ]
            rows.append(row)
    ratios = ["times plain", "times activation"]
    headings = ["Threads", "PReLU", "Training, images/s", *ratios, "Inference, images/s", *ratios]
    write("backbone", headings, rows)
    rows = [
        [g["batch_size"], g["form"], f"{g['best']:.0f}", f"{g['to_onnxruntime']:.2f}"]
        for g in found["graphs"]
    ]
    write("inference", ["Batch", "Form", "Images/s", "times onnxruntime"], rows)


def data(args, scratch):
    """Images/s of the record readers, plain and with colour jitter."""
    file = scratch / "data.json"
    gluonface("bench", "data", "--json", file)
    found = json.loads(file.read_text())
    readers = {"to_cv2_loop": "times the cv2 loop", "to_mx_loop": "times the mx.image loop"}
    augmented = {"to_iterator": "times the iterator", "to_data_loader": "times DataLoader"}
    for name, rows, ratios in (
        ("data", found["rows"], readers),
        ("augmented", found["augmented"], augmented),
    ):
        cells = [
            [
                row["what"],
                row["measures"],
                f"{row['images_per_second']:,.0f}",
                *(f"{row[key]:.1f}" for key in ratios),
            ]
            for row in rows
        ]
        write(name, ["Reader", "What it does", "Images/s", *ratios.values()], cells)


def synthetic(args, scratch):
    """Speed of drawing synthetic faces, and the accuracy of raw pixels on them."""
    command = ["data", "synthesize", "--identities", 200, "--images", 20, "--workers", 1]
    file = scratch / "faces.json"
    gluonface(*command, "--out", scratch / "faces", "--json", file)
    summary = json.loads(file.read_text())
    raw = summary["raw_pixels"]["best"]
    row = [f"{summary['images_per_second']:.0f}", f"{raw:.3f}"]
    write("synthetic", ["Images/s of one core", "Accuracy of raw pixels at best"], [row])


def quickstart(args, scratch):
    """Verification accuracy of the networks of the quick start on unseen identities."""
    file = scratch / "quickstart.json"
    models = ["mobilefacenet:untrained", args.runs / "quickstart"]
    pack = args.runs / "synthetic-faces" / "test.bin"
    rows = []
    for name, model in zip(("untrained", "trained"), models):
        gluonface(
            *("eval", "verification", "--model", model, "--pack", pack),
            *("--flip", "all", "--json", file),
        )
        rows += [[name, *_verification(row)] for row in json.loads(file.read_text())["results"]]
    write("quickstart", ["Network", "Flip", "Accuracy", "TAR@0.01", "AUC", "EER"], rows)


def _verification(row):
    tar = (row["tar"] or {}).get("0.01")
    return [
        row["flip"],
        f"{row['accuracy']:.4f} ± {row['accuracy_std']:.4f}",
        *("-" if value is None else f"{value:.4f}" for value in (tar, row["auc"], row["eer"])),
    ]


def pictures(args, scratch):
    """What the first page draws of the quick start: its curve, and the scores of its pairs."""
    import numpy as np

    file = scratch / "outputs.npz"
    pack = args.runs / "synthetic-faces" / "test.bin"
    model = args.runs / "quickstart"
    gluonface("embed", "--model", model, "--input", pack, "--out", file, "--flip", "none")
    with np.load(file) as held:
        pairs, same = held["embedding"].reshape(len(held["issame"]), 2, -1), held["issame"]
    cosines = (pairs[:, 0].astype(np.float64) * pairs[:, 1]).sum(axis=1)
    rows = [[f"{cosine:.6f}", int(one)] for cosine, one in zip(cosines, same)]
    write("quickstart_scores", ["cosine", "same"], rows)
    with open(model / "metrics.csv", encoding="utf-8", newline="") as metrics:
        steps = list(csv.DictReader(metrics))
    columns = ["step", "loss", "target_cosine", "lr", "strength"]
    write("quickstart_curve", columns, [[row[name] for name in columns] for row in steps])


def log(args, scratch):
    """The first and last lines of the log of the quick start."""
    lines = (args.runs / "quickstart" / "train.log").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if re.search(r" epoch \d+ step|verification at|-128,", line)]
    first = next(i for i, line in enumerate(wanted) if " epoch " in line)
    chosen = [*wanted[: first + 3], "...", *wanted[-3:]]
    text = "\n".join(re.sub(r"^\S+ (\d\d:\d\d:\d\d)(,\d+)?", r"\1", line) for line in chosen)
    (RESULTS / "log.txt").write_text(text + "\n", encoding="utf-8")


def flip(args, scratch):
    """The rules of flip-TTA with InsightFace's model on photographs. Needs --faces."""
    rows = _photographs(args, args.faces / "insightface-mobilefacenet" / "model")
    write("flip", ["Flip", *PHOTOGRAPH_COLUMNS], rows)


PHOTOGRAPH_COLUMNS = ["Accuracy", "TAR@0.01", "EER", "Lowest same", "Highest different", "Gap"]


def _photographs(args, source, forms=("none", "sum", "concat")):
    """Evaluate a model on the pack of photographs; return a row for each flip form."""
    from gluonface.data import VerificationPack
    from gluonface.deploy import Embedder
    from gluonface.evaluation import evaluate_pack

    pack = VerificationPack.load(args.faces / "att" / "att_test.bin")
    rows = []
    for form, result in evaluate_pack(Embedder.load(source), pack, forms).items():
        low, high = result.score[result.issame].min(), result.score[~result.issame].max()
        accuracy = f"{result.accuracy:.4f} ± {result.accuracy_std:.4f}"
        figures = (result.tar[0.01], result.eer, low, high, low - high)
        rows.append([form, accuracy, *(f"{figure:.4f}" for figure in figures)])
    return rows


def finetune(args, scratch):
    """InsightFace's model before and after fine-tuning on 28 people, and one trained from scratch.

    Needs --faces.
    """
    original = args.faces / "insightface-mobilefacenet" / "model"
    ours, people = scratch / "ours.params", args.faces / "att"
    gluonface("import", "--from", original, "--model", "mobilefacenet", "--out", ours)
    common = ["--data", people, "--set", "log.tensorboard=false"]
    gluonface(
        *("train", "--recipe", "finetune", "--init", f"mobilefacenet:{ours}"),
        *(*common, "--run", scratch / "tuned"),
    )
    gluonface(
        *("train", "--recipe", "synthetic-quickstart", *common, "--set", "export.onnx=false"),
        *("--run", scratch / "scratch"),
    )
    models = {
        "untrained": "mobilefacenet:untrained",
        "from nothing, on the 28 people": scratch / "scratch",
        "imported": f"mobilefacenet:{ours}",
        "imported, fine-tuned on the 28 people": scratch / "tuned",
    }
    rows = [
        [name, *row]
        for name, source in models.items()
        for row in _photographs(args, source, ("none", "sum"))
    ]
    write("finetune", ["Model", "Flip", *PHOTOGRAPH_COLUMNS], rows)


def distillation(args, scratch):
    """A student with a teacher and without, in the same number of steps. Needs --faces."""
    original, people = args.faces / "insightface-mobilefacenet" / "model", args.faces / "att"
    drawn = scratch / "drawn"
    gluonface("data", "synthesize", "--identities", "300", "--images", "30", "--out", drawn)
    rows = []
    for name, data in (("photographs", people), ("drawn", drawn)):
        teacher = scratch / f"{name}.npy"
        gluonface("embed", "--model", original, "--input", data, "--views", "--out", teacher)
        common = {"export.onnx": "false", "log.tensorboard": "false", "train.steps": 150}
        common["eval.every"] = common["train.steps"]
        packs = (people / "att_test.bin", drawn / "test.bin")
        words = ["train", "--recipe", "synthetic-quickstart", "--data", data, "--packs", *packs]
        words += [word for key, value in common.items() for word in ("--set", f"{key}={value}")]
        taught = ("--teacher-embeddings", teacher, "--set", "loss.auxiliary.kd_cosine=30")
        runs = scratch / f"runs-{name}"
        for seed in range(3):
            each = (*words, "--set", f"train.seed={seed}")
            gluonface(*each, "--run", runs / f"none-{seed}")
            gluonface(*each, "--run", runs / f"kd-{seed}", *taught)
        rows += distilled_rows(name, runs)
    write("distillation", DISTILLED, rows)


DISTILLED = ["Trained on", "Tested on", "Measure", "Without a teacher", "With one", "Difference"]
STUDENT_95 = 4.303  # of Student's t with the two degrees of freedom of three seeds


def distilled_rows(title, runs):
    """Return rows of the table from the folders none-SEED and kd-SEED of runs."""
    import numpy as np

    found = {
        kind: [
            json.loads((runs / f"{kind}-{seed}" / "verification.json").read_text())["history"][-1]
            for seed in range(3)
        ]
        for kind in ("none", "kd")
    }
    rows = []
    for pack, name in (("att_test", "photographs"), ("test", "drawn")):
        for measure in ("accuracy", "auc"):
            values = {
                kind: np.array([each["packs"][pack][measure] for each in history])
                for kind, history in found.items()
            }
            values["difference"] = values["kd"] - values["none"]
            rows.append(
                [title, name, {"auc": "AUC"}.get(measure, measure)]
                + [
                    f"{each.mean():{'+' * (kind == 'difference')}.3f} ± "
                    f"{STUDENT_95 * each.std(ddof=1) / 3**0.5:.3f}"
                    for kind, each in values.items()
                ]
            )
    return rows


def sources(args, scratch):
    """Differences between the embeddings of one model from every kind of source. Needs --faces."""
    import numpy as np

    from gluonface.data import VerificationPack
    from gluonface.deploy import Embedder

    original = args.faces / "insightface-mobilefacenet" / "model"
    ours, exported = scratch / "ours.params", scratch / "model"
    gluonface("import", "--from", original, "--model", "mobilefacenet", "--out", ours)
    gluonface("export", "--model", f"mobilefacenet:{ours}", "--out", exported, "--onnx")
    images = next(VerificationPack.load(args.faces / "att" / "att_test.bin").iter_batches(128))
    found = {
        "original checkpoint": original,
        "imported weights": f"mobilefacenet:{ours}",
        "our export": exported,
        "our export, ONNX": f"{exported}.onnx",
    }
    rows, reference = [], None
    for name, source in found.items():
        embeddings, _ = Embedder.load(source).embed_views(images)
        reference = embeddings if reference is None else reference
        error = np.abs(embeddings - reference).max() / np.abs(reference).max()
        rows.append([name, f"{error:.1e}" if error else "0"])
    write("sources", ["Source", "Largest relative difference of the outputs"], rows)


def readme_table():
    """Return the table of README.rst, from the figures in docs/results."""

    def figure(name, **wanted):
        with open(RESULTS / f"{name}.csv", encoding="utf-8", newline="") as file:
            rows = [{key.lower(): row[key] for key in row} for row in csv.DictReader(file)]
        found = (row for row in rows if all(row[key] == value for key, value in wanted.items()))
        return next(found)["accuracy"]

    rows = [
        (title, *(figure(name, flip=form, **which) for form in ("none", "sum")))
        for title, name, which in (
            ("Drawn faces, untrained network", "quickstart", {"network": "untrained"}),
            ("The same after ``quickstart.sh``", "quickstart", {"network": "trained"}),
            ("InsightFace's model, 400 pairs of photographs", "flip", {}),
        )
    ]
    rows.insert(0, ("Verification accuracy, measured", "image alone", "flip-TTA"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule]) + "\n"


def readme(args, scratch):
    """Write the figures of other measurements into README.rst."""
    path = ROOT / "README.rst"
    text = path.read_text(encoding="utf-8")
    table = re.compile(r"^=+  =+  =+\n(?:.*\n)+?=.*\n(?:.*\n)+?=.*\n", re.M)
    path.write_text(table.sub(lambda _: readme_table(), text, count=1), encoding="utf-8")


def zoo(args, scratch):
    """Size and inference speed of every backbone; a later run continues after --seconds."""
    from gluonface.model_zoo import BACKBONES
    from gluonface.model_zoo._table import MEASURED, SPEED

    begin, done = time.monotonic(), {}
    if SPEED.is_file() and not args.again:
        with open(SPEED, encoding="utf-8", newline="") as file:
            done = {row["name"]: row for row in csv.DictReader(file)}
    # Small ones first: more of them fit into --seconds.
    names = sorted(BACKBONES.list(), key=lambda name: BACKBONES.get(name)[0].macs)
    missing = [name for name in names if name not in done]
    for name in missing:
        left = args.seconds - (time.monotonic() - begin)
        # Building takes 4 s, and a batch of 32 runs at 40 G multiply-accumulates per second.
        if left < 4 + 40 * BACKBONES.get(name)[0].macs / 40e9:
            break
        done[name] = _backbone_speed(name)
        sys.stderr.write(f"{name}: {done[name]}\n")
        rows = [[n, *(done[n][c] for c in MEASURED)] for n in BACKBONES.list() if n in done]
        with open(SPEED, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["name", *MEASURED], *rows])
    sys.stderr.write(f"{len(done)} of {len(names)} backbones are measured\n")


def _backbone_speed(name):
    """Return a row of the table: MB of parameters, and images/s with batches of 1 and 32."""
    import numpy as np

    from gluonface._compat import mx
    from gluonface.deploy.engine_selection import engine_for
    from gluonface.deploy.export import trace
    from gluonface.weights.load import load_net
    from gluonface.weights.mxnet_params import params_bytes

    net = load_net(f"{name}:untrained")
    arrays = {k: p.data().asnumpy() for k, p in net._collect_params_with_prefix().items()}
    row = {"size_mb": f"{len(params_bytes(arrays)) / 1e6:.1f}"}
    # Embedder refuses embeddings that are not finite. Those of attention_net452 with random weights
    # overflow, so the engine runs without it.
    engine = engine_for(*trace(net), mx.cpu(), net.cfg.input_size, name, engine="openvino")
    del net, arrays
    shape = (32, 3, *engine.input_size)
    images = np.random.RandomState(0).randint(0, 256, shape).astype(np.float32)
    for size in (1, 32):
        batch, times = images[:size], []
        while len(times) < 2 or (sum(times[1:]) < 1 and len(times) < 50):
            start = time.perf_counter()
            engine.run(batch)
            times.append(time.perf_counter() - start)
            if times[0] > 2:  # preparations of the first run are negligible then
                break
        times = times[1:] or times
        row[f"images_per_s_batch{size}"] = f"{size / sorted(times)[len(times) // 2]:.3g}"
    return row


def checks(args, scratch):
    """Results of the tests of --models, by default of the backbones that are not in the table."""
    import _checks

    from gluonface.model_zoo import BACKBONES, list_models

    path = RESULTS / "zoo_checks.csv"
    done = () if args.again else _checks.read(path)
    names = args.models or [name for name in list_models() if name not in done]
    names = sorted(map(BACKBONES.resolve, names), key=lambda name: BACKBONES.get(name)[0].macs)
    _checks.check(path, names, scratch)


# `profiles` takes the smallest of each family and these, which have other blocks.
OTHER_BLOCKS = (
    *(f"mobilefacenet_{kind}" for kind in ("se", "eca", "cbam", "gct")),
    *("gluonfr_mobilefacenet_re_se", "shufflemixfacenet_xs", "ir_se_50", "attentionnet_irse_56"),
)


def profiles(args, scratch):
    """Shares of inference time by operator, of one backbone of every family."""
    from gluonface.bench.profile import CONVOLUTIONS, profile
    from gluonface.model_zoo import BACKBONES, list_models

    smallest = {}
    for name in sorted(list_models(), key=lambda name: -BACKBONES.get(name)[0].macs):
        smallest[BACKBONES.get(name)[1].__module__] = name
    rows = []
    for name in list_models():
        if name not in (*smallest.values(), *OTHER_BLOCKS):
            continue
        shares = dict(profile(name, batch_size=8, repeats=3))
        layers = sum(shares.pop(operator, 0) for operator in CONVOLUTIONS)
        most = "; ".join(f"{op} {100 * share:.0f} %" for op, share in list(shares.items())[:2])
        rows.append([name, f"{100 * layers:.0f} %", most])
        sys.stderr.write(f"{rows[-1]}\n")
    write("profiles", ["Name", "Convolutions, linear layers", "Then"], rows)


# Backbones with the largest and the smallest gains, and some between.
WITH_OURS = (
    *("mobilefacenet", "mobilefacenet_se", "mobilenetv2", "mobilenetv3", "proxylessnas_mobile"),
    *("efficientnet_b0", "rexnetv1_x1.0", "mixfacenet_xs", "shufflemixfacenet_xs", "ghostnet"),
    *("se_resnet18_v2", "resnext50", "densenet121", "iresnet18"),
)


def native(args, scratch):
    """Milliseconds of a training step without gluonface's operators and with them."""
    from gluonface import native
    from gluonface._compat import mx
    from gluonface.model_zoo import get_model

    rows = []
    for name in WITH_OURS:
        nets = [get_model(name), get_model(name)]
        images = mx.nd.random.uniform(0, 255, (16, 3, *nets[0].cfg.input_size))
        for net in nets:
            net.hybridize(static_alloc=True, static_shape=True)

        def step(net, images=images):
            begin = time.perf_counter()
            with mx.autograd.record():
                loss = net(images).square().sum()
            loss.backward()
            mx.nd.waitall()
            return 1000 * (time.perf_counter() - begin)

        with native.without():  # the graph is built at the first call
            step(nets[0])
        step(nets[1])
        without, ours = (min(times) for times in zip(*(map(step, nets) for _ in range(4))))
        rows.append([name, f"{without:.0f}", f"{ours:.0f}", f"{without / ours:.1f}"])
        sys.stderr.write(f"{rows[-1]}\n")
    write("native", ["Backbone", "Without", "With", "Times as fast"], rows)


def layer_norms(args, scratch):
    """Milliseconds of layer norms of maps and of GELU, in the ways in which MXNet can do them."""
    from gluonface._compat import mx
    from gluonface.nn import LAST, SECOND, gelu

    nd = mx.nd
    maps = nd.random.normal(shape=(8, 48, 28, 28))
    tokens = nd.random.normal(shape=(8, 28, 28, 192))
    ones, zeros = nd.ones(48), nd.zeros(48)

    def last(x):
        x = nd.LayerNorm(nd.transpose(x, LAST), ones, zeros, axis=-1, eps=1e-6)
        return nd.transpose(x, SECOND)

    ways = (
        ("Layer norm", "of the second axis", maps, lambda x: nd.LayerNorm(x, ones, zeros, axis=1)),
        ("Layer norm", "of the last axis, between two transpositions", maps, last),
        ("GELU", "of erf", tokens, lambda x: x * 0.5 * (1 + nd.erf(x * 0.5**0.5))),
        ("GELU", "of LeakyReLU", tokens, lambda x: gelu(nd, x)),
    )

    def once(function, x, trained):
        begin = time.perf_counter()
        if trained:
            x.attach_grad()
            with mx.autograd.record():
                y = function(x)
            y.backward()
        else:
            function(x)
        nd.waitall()
        return 1000 * (time.perf_counter() - begin)

    rows = []
    for what, how, x, function in ways:
        inference, training = (
            min(once(function, x, trained) for _ in range(25)) for trained in (False, True)
        )
        rows.append([what, how, f"{inference:.1f}", f"{training:.1f}"])
        sys.stderr.write(f"{rows[-1]}\n")
    write("layer_norms", ["What", "How", "Forward", "Forward and backward"], rows)


PHOTOGRAPHS = (flip, sources, finetune, distillation)  # need --faces
EVERYTHING = (
    backbone,
    data,
    synthetic,
    quickstart,
    pictures,
    log,
    *PHOTOGRAPHS,
    readme,
    zoo,
    profiles,
    native,
    layer_norms,
    checks,
)
MEASUREMENTS = {measure.__name__: measure for measure in EVERYTHING}


def main():
    """Run the measurements that the command line names, by default all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(MEASUREMENTS))
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "runs", metavar="DIR")
    parser.add_argument("--faces", type=pathlib.Path, help="folder with real faces and a model")
    parser.add_argument(
        "--seconds", type=float, default=3600, help="for zoo: the limit of its time"
    )
    parser.add_argument("--models", nargs="+", metavar="NAME", help="for checks: test these")
    parser.add_argument(
        "--again", action="store_true", help="for zoo and checks: all of them again"
    )
    args = parser.parse_args()
    unknown = set(args.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    names = args.names or [
        name for name, run in MEASUREMENTS.items() if run not in PHOTOGRAPHS or args.faces
    ]
    args.runs = args.runs.resolve()
    args.faces = args.faces and args.faces.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            MEASUREMENTS[name](args, pathlib.Path(scratch))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
