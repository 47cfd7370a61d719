"""Record what this Python and NumPy compute, and compare records to the last bit.

    python scripts/record_results.py OUT.npz FACES             in each environment
    python scripts/record_results.py --compare A.npz B.npz ...

FACES is one set for all, of ``gluonface data synthesize --out FACES``, since OpenCV's releases may
draw differently. A record holds embeddings of InsightFace's MobileFaceNet, the weights and losses
of a training run of 20 steps, and every figure that the tests of ``gluonface.evaluation`` compute,
the reference cases among them. It needs ``../shared``.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import pkgutil
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def embeddings() -> dict[str, np.ndarray]:
    """Return embeddings of 20 photographs by every engine that is installed."""
    from gluonface.data import VerificationPack
    from gluonface.deploy import Embedder

    pack = VerificationPack.load(SHARED / "data/lfw_small.bin")
    images = np.stack([pack.image(i) for i in range(len(pack.bins))])
    found = {"images": images}
    prefix = SHARED / "data/insightface-mobilefacenet/model"
    for engine in ("mxnet", "onnxruntime", "openvino"):
        model = Embedder.load(prefix, ctx="cpu", engine=engine)
        found[f"embeddings, {engine}"] = model.embed(images, flip="sum")
    return found


def training(faces: str) -> dict[str, np.ndarray]:
    """Return the weights and the log of 20 steps of a MobileFaceNet."""
    from gluonface._compat import mx

    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        command = [sys.executable, "-m", "gluonface", "train", "--recipe", "synthetic-quickstart"]
        command += ["--data", faces, "--run", str(run), "--ctx", "cpu", "--log-level", "warning"]
        for setting in (
            "train.steps=20",
            "schedule.warmup_steps=2",
            "log.every=1",
            "export.onnx=false",
        ):
            command += ["--set", setting]
        subprocess.run(command, check=True, cwd=ROOT)
        (path,) = run.glob("export/*.params")
        weights = {f"training, {k}": v.asnumpy() for k, v in mx.nd.load(str(path)).items()}
        lines = (run / "metrics.csv").read_text().splitlines()
    names = [i for i, name in enumerate(lines[0].split(",")) if "loss" in name]
    losses = [[float(line.split(",")[i] or "nan") for i in names] for line in lines[1:]]
    return {**weights, "training, losses": np.array(losses)}


class Figures:
    """A plugin of pytest that keeps every figure which a dataclass of evaluation is made of."""

    def __init__(self):
        self.found: dict[str, np.ndarray] = {}
        self._counts: collections.Counter[str] = collections.Counter()
        import gluonface.evaluation as package

        modules = pkgutil.walk_packages(package.__path__, "gluonface.evaluation.")
        for module in [__import__(m.name, fromlist=["x"]) for m in modules]:
            for value in list(vars(module).values()):
                if dataclasses.is_dataclass(value) and value.__module__ == module.__name__:
                    self._watch(value)

    def _watch(self, cls):
        original = cls.__init__

        def init(instance, *args, **kwargs):
            original(instance, *args, **kwargs)
            if type(instance) is cls:
                test = os.environ.get("PYTEST_CURRENT_TEST", "").rsplit(" (", 1)[0]
                for field in dataclasses.fields(cls):
                    self._keep(
                        f"{test}: {cls.__name__}.{field.name}", getattr(instance, field.name)
                    )

        cls.__init__ = init

    def _keep(self, name, value):
        try:
            array = np.asarray(value)
        except ValueError:  # lists of unequal lengths
            return
        if array.dtype.kind in "biuf":
            self.found[f"{name} #{self._counts[name]}"] = array
            self._counts[name] += 1


def figures() -> dict[str, np.ndarray]:
    """Return the figures of the tests of evaluation."""
    import pytest

    plugin = Figures()
    tests = [str(ROOT / "tests/evaluation"), "--ignore", str(ROOT / "tests/evaluation/report")]
    if pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:randomly", *tests], [plugin]):
        sys.exit("a test failed: nothing is recorded")
    return plugin.found


def _write(path, arrays):
    # One array of all values: a file of an array for each name takes minutes to read.
    sizes = [array.size for array in arrays.values()]
    values = np.concatenate([np.ravel(array).astype(np.float64) for array in arrays.values()])
    np.savez_compressed(path, names="\n".join(arrays), sizes=sizes, values=values)


def _read(path):
    with np.load(path) as file:
        names = str(file["names"]).split("\n")
        return dict(zip(names, np.split(file["values"], np.cumsum(file["sizes"])[:-1])))


def compare(paths: list[str]) -> None:
    """Print which groups of values differ from those of the first record, and by how much."""
    first = _read(paths[0])
    for path in paths[1:]:
        other = _read(path)
        groups: dict[str, list[str]] = {}
        for name in first:
            group = name.split(",")[0] if name.startswith("training") else name.split(":")[0]
            groups.setdefault(group, []).append(name)
        equal, different = 0, []
        for group, names in groups.items():
            missing = [n for n in names if n not in other]
            worst, count = 0.0, 0
            for name in set(names) - set(missing):
                a, b = first[name], other[name]
                if a.shape != b.shape:
                    worst, count = float("inf"), count + 1
                elif not np.array_equal(a, b, equal_nan=True):
                    with np.errstate(invalid="ignore"):
                        gap = np.nanmax(np.abs(a - b)) / max(np.nanmax(np.abs(a)), 1e-300)
                    worst, count = max(worst, float(gap)), count + 1
            if count or missing:
                different.append(
                    f"    {group}: {count} of {len(names)} values differ, by up to {worst:.1e} of "
                    f"the largest; {len(missing)} missing"
                )
            else:
                equal += 1
        sys.stdout.write(f"{path}: {equal} groups equal to the bit, {len(different)} differ" + "\n")
        sys.stdout.write("\n".join(sorted(different)) + "\n")


def main() -> None:
    """Record, or compare."""
    if sys.argv[1:2] == ["--compare"]:
        compare(sys.argv[2:])
        return
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    found = {**embeddings(), **training(sys.argv[2]), **figures()}
    _write(sys.argv[1], found)
    sys.stdout.write(
        f"{len(found)} arrays of Python {sys.version.split()[0]}, NumPy {np.__version__}" + "\n"
    )


if __name__ == "__main__":
    main()
