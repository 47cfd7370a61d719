"""What of MXNet 1.9.1 works on today's Python, NumPy and SciPy, and what it leaves alone there.

MXNet is imported once in a process, so what concerns its import runs in a fresh interpreter.
"""

import ast
import multiprocessing
import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

from gluonface import _mxnet_repairs
from gluonface._compat import mx
from gluonface.errors import GluonfaceError

ROOT = pathlib.Path(__file__).resolve().parents[1]
MXNET = pathlib.Path(mx.__file__).parent


def run(code, **environment):
    """Run `code` in a new interpreter and return what it printed; fail with its stderr."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Submodules that are imported become attributes of a package; they are no change by us.
CHANGES = """
import numpy, multiprocessing, types
def names():
    return {(m.__name__, k): v for m in (numpy, multiprocessing) for k, v in vars(m).items()}
before = names()
import gluonface
assert names() == before
import mxnet
after = names()
print([k for k in {**before, **after} if after.get(k) is not before.get(k)
    and not isinstance(after.get(k), types.ModuleType)])
"""


def test_the_users_numpy_stays_as_it_is():
    assert run(CHANGES) == "[]"


def test_numpys_own_refusal_of_a_lost_name_stays_too():
    code = (
        "import gluonface, mxnet, numpy\n"
        "for name in ('float', 'int', 'NaN', 'trapz', 'mirr', 'alltrue', 'bool'):\n"
        "    print(name, name in vars(numpy), name in vars(mxnet.nd.ndarray.np))"
    )
    names = run(code).split("\n")
    fresh = run(
        "import numpy\n"
        "for name in ('float', 'int', 'NaN', 'trapz', 'mirr', 'alltrue', 'bool'):\n"
        "    print(name, name in vars(numpy))"
    )
    assert [line.rsplit(" ", 1)[0] for line in names] == fresh.split("\n")
    assert "NaN True True" in names or "NaN False True" in names


def test_the_stub_of_numpys_core_in_either_numpy_does_no_harm():
    code = (
        "import importlib.util, warnings; warnings.simplefilter('ignore')\n"
        "for name in ('numpy.core', 'numpy._core'):\n"
        "    importlib.util.find_spec(name) and importlib.import_module(name)\n"
        "import gluonface, mxnet\n"
        "print(mxnet.nd.moveaxis(mxnet.nd.zeros((2, 3, 4)), 0, -1).shape)"
    )
    assert run(code) == "(3, 4, 2)"


def test_all_that_mxnets_sources_read_from_numpy_is_there():
    private = mx.ndarray.ndarray.np
    assert private is not np
    missing = set()
    for path in MXNET.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            name.asname or name.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for name in node.names
            if name.name == "numpy"
        }
        missing |= {
            f"{path.relative_to(MXNET)}: {node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in names
            and not hasattr(private, node.attr)
        }
    assert not missing


def test_names_that_numpy_dropped_do_in_mxnet_what_they_did():
    np_of_mxnet = mx.ndarray.ndarray.np
    assert np_of_mxnet.bool is bool
    assert np_of_mxnet.alltrue([True, False]) == np.False_
    assert np_of_mxnet.sometrue([True, False]) == np.True_
    assert np_of_mxnet.product([2, 3]) == 6
    assert np_of_mxnet.round_(1.26, 1) == 1.3
    assert np_of_mxnet.msort([[2, 1], [0, 5]]).tolist() == [[0, 1], [2, 5]]
    assert np_of_mxnet.in1d([[1, 2], [3, 4]], [2, 4]).tolist() == [False, True, False, True]
    assert np_of_mxnet.trapz([0.0, 1.0]) == 0.5
    with pytest.raises((NotImplementedError, RuntimeError), match="numpy-financial"):
        np_of_mxnet.npv(0.1, [1, 2])
    assert mx.np.NINF == -np.inf == -mx.np.PINF
    assert mx.nd.moveaxis(mx.nd.zeros((2, 3, 4)), 0, -1).shape == (3, 4, 2)


INT, FLOAT, TRUE = np.int64(2), np.float32(0.5), np.bool_(True)


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: mx.nd.zeros((INT, 3)),
        lambda x: mx.nd.reshape(x, shape=(np.int32(3), -1)),
        lambda x: x.reshape((np.uint8(3), INT)),
        lambda x: x[INT - 2, np.int16(1) :],
        lambda x: mx.nd.slice(x, begin=(np.int64(0), None), end=(np.int64(1), None)),
        lambda x: mx.nd.transpose(x, axes=tuple(np.array([1, 0]))),
        lambda x: mx.nd.sum(x, axis=tuple(np.array([0]))),
        lambda x: mx.nd.sum(x, axis=[np.int64(1)], keepdims=TRUE),
        lambda x: mx.nd.tile(x, reps=tuple(np.array([2, 1]))),
        lambda x: mx.nd.clip(x, np.float64(0.25), FLOAT),
        lambda x: mx.nd.linalg.gemm2(x, x, transpose_b=TRUE, alpha=FLOAT),
        lambda x: mx.nd.contrib.MultiBoxPrior(
            mx.nd.zeros((1, 3, 4, 4)), sizes=(FLOAT, np.float64(0.25)), clip=TRUE
        ),
        lambda x: mx.nd.Pooling(
            mx.nd.zeros((1, 3, 4, 4)), kernel=(INT, INT), stride=[INT, np.int64(1)]
        ),
        lambda x: mx.nd.random.uniform(shape=(INT, INT)),
        lambda x: mx.np.zeros((INT, 3)),
        lambda x: mx.sym.zeros((INT, 3)).eval(ctx=mx.cpu())[0],
        lambda x: mx.sym.reshape(mx.sym.var("x"), shape=(np.int64(3), 2)).eval(x=x)[0],
        lambda x: mx.gluon.nn.Conv2D(2, (INT, INT), strides=(INT, 1), in_channels=3).infer_shape(
            mx.nd.zeros((1, 3, 4, 4))
        ),
    ],
)
def test_a_parameter_of_an_operator_may_hold_numpys_numbers(compute):
    result = compute(mx.nd.arange(6).reshape((2, 3)))
    if result is not None:
        assert result.asnumpy().size  # libmxnet accepted it and computed


def test_a_variable_and_an_iterator_take_numpys_numbers_too(tmp_path):
    shape = tuple(np.array([2, 3]))
    assert mx.sym.var("w", shape=shape, lr_mult=FLOAT).attr("__shape__") == "(2, 3)"
    weight = mx.gluon.Parameter("w", shape=shape)
    weight.initialize()
    assert weight.var().attr("__shape__") == "(2, 3)"
    path = tmp_path / "data.csv"
    path.write_text("1,2,3\n4,5,6\n")
    batches = mx.io.CSVIter(data_csv=str(path), data_shape=(np.int64(3),), batch_size=INT)
    assert next(batches).data[0].shape == (2, 3)


def test_numbers_of_numpy_are_written_as_python_writes_them():
    values = (INT, FLOAT, TRUE, [np.float64(0.1)], None, "np.int64(2)")
    assert _mxnet_repairs._text(values) == "(2, 0.5, True, [0.1], None, 'np.int64(2)')"
    assert _mxnet_repairs._text("np.int64(2)") == "np.int64(2)"
    with np.printoptions(precision=3):
        _mxnet_repairs._text(values)
        assert np.get_printoptions()["precision"] == 3  # what the user chose stays


def test_records_with_several_labels_and_images_are_packed():
    io = mx.recordio
    header, content = io.unpack(io.pack(io.IRHeader(0, [4, 5], 1, 0), b"x"))
    assert (header.label.tolist(), content) == ([4.0, 5.0], b"x")
    image = np.zeros((4, 4, 3), np.uint8)
    packed = io.pack_img(io.IRHeader(0, 7.0, 1, 0), image, img_fmt=".png")
    assert io.unpack_img(packed)[1].shape == (4, 4, 3)


def test_an_array_of_one_number_is_a_scalar_in_every_shape():
    for shape in [(1,), (1, 1), (1, 1, 1)]:
        value = mx.nd.full(shape, 2.5).asscalar()
        assert type(value) is np.float32
        assert float(value) == 2.5
    with pytest.raises(ValueError, match="not a scalar"):
        mx.nd.ones(2).asscalar()


def test_calibration_by_entropy_finds_scipy_and_logs_its_thresholds(caplog):
    pytest.importorskip("scipy")
    import logging

    histogram, edges = np.histogram(np.random.RandomState(0).randn(4000), bins=2001, range=(-4, 4))
    found = mx.contrib.quantization._get_optimal_thresholds(
        {"conv": (histogram, edges, -4.0, 4.0, 4.0)}, "int8", logger=logging.getLogger("entropy")
    )
    low, high = found["conv"]
    assert 0 < high <= 4
    assert low == -high
    assert mx.contrib.quantization.stats.norm.cdf(0.0) == 0.5


def test_mxnets_import_brings_no_scikit_learn_and_no_scipy_stats():
    pytest.importorskip("scipy")
    code = (
        "import gluonface, mxnet, sys, importlib;"
        "print([name in sys.modules for name in ('sklearn', 'scipy.stats', 'pandas')]);"
        "import scipy.stats, sklearn.base;"
        "print(scipy.stats.norm.cdf(0.0), importlib.reload(mxnet) is mxnet, mxnet.nd.ones(1).size)"
    )
    assert run(code).split("\n") == ["[False, False, False]", "0.5 True 1"]


# Operators that nothing calls during the import: arguments by name, and any number of arrays.
FIRST_CALLS = """
import gluonface, mxnet as mx, inspect, threading
def seen(f):
    return f.__name__, f.__module__, f.__doc__, str(inspect.signature(f)), f.__defaults__
one, two = mx.nd.array([0.0, 2.0]), mx.nd.array([[1.0], [2.0]])
for where, given in ((mx.nd, (one, two)), (mx.sym, (mx.sym.var("one"), mx.sym.var("two")))):
    by_name, any_number = where.smooth_l1, where.khatri_rao
    before = seen(by_name), seen(any_number), by_name.__code__, any_number.__code__
    for _ in range(2):
        first = by_name(given[0], scalar=1)
        second = any_number(given[1], given[1])
        if where is mx.sym:
            (first,), (second,) = first.eval(one=one), second.eval(two=two)
        assert first.asnumpy().tolist() == [0, 1.5], first
        assert second.asnumpy().ravel().tolist() == [1, 2, 2, 4], second
    assert before[:2] == (seen(by_name), seen(any_number))
    assert by_name.__code__ is not before[2] and any_number.__code__ is not before[3]
    for words in ({"unknown": 1}, {"scalar": "x"}):
        try:
            print("passed", where.smooth_l1(given[0], **words))
        except mx.base.MXNetError as error:
            print([word for word in ("unknown", "scalar") if word in str(error)][0])
# The first call in several threads at once.
results = [None] * 8
def call(i):
    results[i] = float(mx.nd.hard_sigmoid(mx.nd.array([0.0])).asscalar())
threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
[t.start() for t in threads], [t.join() for t in threads]
print(set(results))
"""


def test_an_operator_is_compiled_at_its_first_call_and_looks_the_same_before():
    assert run(FIRST_CALLS).split("\n") == ["unknown", "scalar", "unknown", "scalar", "{0.5}"]


def test_a_module_that_is_imported_later_is_repaired_too():
    code = (
        "import gluonface, mxnet, numpy, sys;"
        "assert 'mxnet.notebook.callback' not in sys.modules;"
        "from gluonface import _mxnet_repairs;"
        "import importlib.util;"
        "print(type(importlib.util.find_spec('mxnet.notebook.callback').loader).__name__)"
    )
    assert run(code) == "Loader"


# Each gets the arrays of a first update, which add up to 2^24, and of ten more, which add one each.
def _ones(count):
    return [mx.nd.array([0] * count)], [mx.nd.ones(count)]


BIG, MANY = float(2**24), 10


@pytest.mark.parametrize(
    ("metric", "first", "more", "expected"),
    [
        (mx.metric.Loss(), ([], [mx.nd.array([BIG])]), ([], [mx.nd.ones(1)]), BIG + MANY),
        (
            mx.metric.MAE(),
            ([mx.nd.zeros(1)], [mx.nd.array([BIG])]),
            ([mx.nd.zeros(1)], [mx.nd.ones(1)]),
            BIG + MANY,
        ),
        (
            mx.metric.MSE(),
            ([mx.nd.zeros(1)], [mx.nd.array([2.0**12])]),
            ([mx.nd.zeros(1)], [mx.nd.ones(1)]),
            BIG + MANY,
        ),
        (
            mx.metric.RMSE(),
            ([mx.nd.zeros(1)], [mx.nd.array([BIG])]),
            ([mx.nd.zeros(1)], [mx.nd.ones(1)]),
            BIG + MANY,
        ),
        (
            mx.metric.np(lambda label, pred: pred.sum()),
            ([mx.nd.zeros(1)], [mx.nd.array([BIG])]),
            ([mx.nd.zeros(1)], [mx.nd.ones(1)]),
            BIG + MANY,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, mx.metric.EvalMetric) else "",
)
def test_a_metric_adds_up_in_double_precision(metric, first, more, expected):
    metric.update(*first)
    for _ in range(MANY):
        metric.update(*more)
    assert metric.sum_metric == metric.global_sum_metric == expected
    metric.reset_local()
    assert metric.global_sum_metric == expected
    metric.reset()
    metric.update(*more)
    assert metric.sum_metric == 1
    assert metric.get()[1] == 1


@pytest.mark.parametrize(
    "metric",
    [
        mx.metric.CrossEntropy(),
        mx.metric.NegativeLogLikelihood(),
        mx.metric.Perplexity(ignore_label=0),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_a_metric_of_probabilities_adds_up_in_double_precision(metric):
    metric.sum_metric = metric.global_sum_metric = BIG
    metric.num_inst = metric.global_num_inst = 2**24
    label, probability = mx.nd.array([1]), mx.nd.array([[0.5, np.exp(-1.0)]])
    for _ in range(MANY):
        metric.update([label], [probability])
    assert metric.sum_metric == metric.global_sum_metric == pytest.approx(BIG + MANY, abs=1e-3)
    assert metric.num_inst == metric.global_num_inst == 2**24 + MANY


def test_perplexity_adds_up_the_arrays_of_one_update_in_double_precision():
    metric = mx.metric.Perplexity(ignore_label=None)
    labels = [mx.nd.array([0]), mx.nd.array([0])]
    metric.update(labels, [mx.nd.array([[np.exp(-20.0)]]), mx.nd.array([[1 - 2.0**-24]])])
    single = mx.nd.log(mx.nd.array([np.exp(-20.0), 1 - 2.0**-24])).asnumpy()
    assert metric.sum_metric == -float(single[0]) - float(single[1])


def test_a_users_metric_adds_up_in_double_precision_too():
    class Own(mx.metric.EvalMetric):
        def update(self, labels, preds):
            self.sum_metric += preds[0].asscalar()
            self.num_inst += np.float32(1)

    metric = Own("own")
    metric.update(None, [mx.nd.array([BIG])])
    for _ in range(MANY):
        metric.update(None, [mx.nd.ones(1)])
    assert (metric.sum_metric, metric.num_inst) == (BIG + MANY, MANY + 1)
    metric.sum_metric = [1.0]  # not a number: as it is
    assert metric.sum_metric == [1.0]
    del vars(metric)["sum_metric"]
    assert not hasattr(metric, "sum_metric")


LOADER = """
import multiprocessing
if {method!r}:
    multiprocessing.set_start_method({method!r})
import gluonface, mxnet as mx
data = mx.gluon.data
def main():
    loader = data.DataLoader(data.ArrayDataset(mx.nd.arange(4)), 2, num_workers=1)
    print([batch.asnumpy().tolist() for batch in loader])
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("method", [None, "forkserver"])
def test_the_workers_of_mxnets_loader_return_its_arrays(method):
    assert run(LOADER.format(method=method)) == "[[0.0, 1.0], [2.0, 3.0]]"


def test_a_users_way_of_starting_processes_holds(monkeypatch):
    for chosen, taken in [("spawn", "spawn"), ("forkserver", "fork"), (None, "fork")]:
        monkeypatch.setattr(
            multiprocessing, "get_start_method", lambda allow_none, chosen=chosen: chosen
        )
        assert _mxnet_repairs._context().get_start_method() == taken
        assert _mxnet_repairs._multiprocessing().get_context().get_start_method() == taken
    assert _mxnet_repairs._multiprocessing().get_context("spawn").get_start_method() == "spawn"


@pytest.mark.parametrize(
    ("library", "what_to_do"),
    [
        ("libgomp.so.1", r"apt-get install libgomp1( libquadmath0)?$"),
        ("libquadmath.so.0", r"apt-get install libgomp1 libquadmath0$"),
        ("libarmpl_lp64_mp.so", r"Arm Performance Libraries.*LD_LIBRARY_PATH$"),
        ("libamath.so", r"Arm Performance Libraries.*LD_LIBRARY_PATH$"),
    ],
)
def test_a_missing_library_of_the_system_says_what_to_install(tmp_path, library, what_to_do):
    message = f"{library}: cannot open shared object file: No such file or directory"
    path = tmp_path / "mxnet.py"
    path.write_text(f"raise OSError({message!r})")
    loader = _mxnet_repairs.Loader("mxnet", str(path))
    with pytest.raises(GluonfaceError, match=what_to_do) as raised:
        loader.exec_module(types.ModuleType("mxnet"))
    assert message in str(raised.value)
    path.write_text("raise OSError('another')")
    with pytest.raises(OSError, match="another"):
        loader.exec_module(types.ModuleType("mxnet"))
