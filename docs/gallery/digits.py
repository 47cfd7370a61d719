"""Draw what each loss makes of 2-d embeddings of scikit-learn's digits.

    OMP_NUM_THREADS=1 python docs/gallery/digits.py

writes docs/_static/digits-embeddings.png. It needs scikit-learn and matplotlib, downloads nothing,
and takes about half a minute on one core.
"""

import argparse
import io
import logging
import pathlib
import time

import numpy as np
from sklearn.datasets import load_digits

from gluonface._compat import mx
from gluonface.files import atomic_write
from gluonface.loss import LOSSES, get_loss
from gluonface.loss.auxiliary import get_auxiliary
from gluonface.parallel import PartialFC

logger = logging.getLogger("digits")
OUT = pathlib.Path(__file__).resolve().parents[1] / "_static" / "digits-embeddings.png"
CLASSES, SIZE, HELD_OUT = 10, 2, 597

# Title -> (head, its parameters, auxiliary loss, its parameters). Scales and margins are smaller
# than for faces: ten classes around a circle have 36 degrees each.
PANELS = {
    "Softmax": ("softmax", {}, None, {}),
    "NormFace": ("normface", {"scale": 16.0}, None, {}),
    "CosFace, m = 0.2": ("cosface", {"scale": 16.0, "margin": 0.2}, None, {}),
    "ArcFace, m = 0.2": ("arcface", {"scale": 16.0, "margin": 0.2}, None, {}),
    "SphereFace": ("sphereface", {}, None, {}),
    "Softmax + centre loss": ("softmax", {}, "center", {"weight": 0.1}),
    "Softmax + ring loss": ("softmax", {}, "ring", {"weight": 1.0}),
    "LGM": (None, {}, "lgm", {"alpha": 0.3}),
}


class Net(mx.gluon.HybridBlock):
    """(N, 64) -> (N, 2), not normalised."""

    def __init__(self):
        super().__init__()
        nn = mx.gluon.nn
        with self.name_scope():
            self.features = nn.HybridSequential()
            for before, after in ((64, 128), (128, 128), (128, 64)):
                self.features.add(
                    nn.Dense(after, in_units=before),
                    nn.BatchNorm(in_channels=after),
                    nn.PReLU(in_channels=after),
                )
            self.features.add(nn.Dense(SIZE, in_units=64))

    def hybrid_forward(self, F, x):
        return self.features(x)


def train(panel, images, labels, steps, batch_size=128, lr=0.01, seed=0):
    """Return a function images -> embeddings (N, 2) as NumPy, trained with a panel's losses."""
    head_name, head_params, extra_name, extra_params = panel
    mx.random.seed(seed)
    net = Net()
    net.initialize(mx.init.Xavier())
    net.hybridize()
    head = extra = None
    parameters = list(net.collect_params().values())
    if head_name:
        head = PartialFC(get_loss(head_name, **head_params), CLASSES, SIZE, seed=seed)
        head.set_centers(np.random.default_rng(seed).normal(size=(CLASSES, SIZE)))
        parameters += head.collect_params().values()
    if extra_name:
        extra = get_auxiliary(extra_name, **extra_params).initialize(CLASSES, SIZE, seed=seed)
        parameters += extra.collect_params().values()
    trainer = mx.gluon.Trainer(parameters, "adam", {"learning_rate": lr})
    random = np.random.default_rng(seed)
    for step in range(steps):
        rows = random.integers(0, len(images), batch_size)
        trainer.set_learning_rate(lr * 0.5 * (1 + np.cos(np.pi * step / steps)))
        if head is not None:  # all centres first spread out, then the margin comes in
            head.margin.strength = min(1.0, max(0.0, 3.0 * step / steps - 1.0))
        with mx.autograd.record():
            embedding = net(mx.nd.array(images[rows]))
            loss = 0.0
            if head is not None:
                loss = head(embedding, labels[rows]).mean()
            if extra is not None:
                loss = loss + extra.weight * extra(embedding, labels[rows]).mean()
        loss.backward()
        mx.nd.waitall()  # the head's backward reads its centres; see gluonface.training
        trainer.step(1)
    return lambda x: net(mx.nd.array(x)).asnumpy()


def main():
    """Train every panel and write the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=600, help="training steps of each loss")
    parser.add_argument("--out", type=pathlib.Path, default=OUT, help="the PNG to write")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = (digits.data[order] / 16.0).astype(np.float32)
    labels = digits.target[order]
    held, rest = slice(0, HELD_OUT), slice(HELD_OUT, None)
    panels = {k: v for k, v in PANELS.items() if v[0] is None or v[0] in LOSSES}

    columns = 4
    rows = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(2.6 * columns, 2.75 * rows), layout="constrained"
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (title, panel) in zip(axes.flat, panels.items()):
        begin = time.monotonic()
        embed = train(panel, images[rest], labels[rest], args.steps)
        points, known = embed(images[held]), embed(images[rest])
        means = np.array([known[labels[rest] == k].mean(axis=0) for k in range(CLASSES)])
        if panel[0] in (None, "softmax"):
            scores = -((points[:, None] - means) ** 2).sum(axis=2)
        else:  # what counts is the direction
            scores = points @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
        accuracy = (scores.argmax(axis=1) == labels[held]).mean()
        seconds = time.monotonic() - begin
        logger.info("%-24s nearest class mean %.1f %%, %.1f s", title, 100 * accuracy, seconds)
        dots = axis.scatter(*points.T, c=labels[held], cmap="tab10", s=5, linewidths=0, alpha=0.8)
        axis.plot(0, 0, "+", color="black", markersize=7)
        axis.set_title(f"{title}: {100 * accuracy:.1f} %", fontsize=10)
        axis.set_aspect("equal", adjustable="datalim")
        axis.tick_params(labelsize=7)
    handles, names = dots.legend_elements(num=None)
    figure.legend(handles, names, loc="outside lower center", ncols=CLASSES, frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.out) as target:
        target.write(file.getvalue())
    logger.info("%s, %d kB", args.out, len(file.getvalue()) // 1000)


if __name__ == "__main__":
    main()
