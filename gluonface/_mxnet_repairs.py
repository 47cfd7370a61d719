"""What MXNet 1.9.1 of 2022 expects of Python, NumPy and SciPy, and newer releases do not have.

`Loader` loads its modules. Imports in them go through `_import`, so that only they see the names
that NumPy took away, and `REPAIRS` has what is mended in a module after its own code has run. NumPy
itself, multiprocessing and the modules of others stay as they are.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import importlib.machinery
import importlib.util
import inspect
import multiprocessing
import numbers
import platform
import re
import sys
import types

from .errors import GluonfaceError

__all__ = ["Loader", "load_with_repairs"]

# What libmxnet links and a minimal system does not have: what to do. The loader names only the
# first that is missing. The wheel for aarch64 links three libraries of Arm's, and no libquadmath.
DEBIAN = "On Debian and Ubuntu: apt-get install libgomp1 libquadmath0"
ARM = (
    "MXNet's wheel for aarch64 needs the Arm Performance Libraries: install them from Arm and name "
    "their folder in LD_LIBRARY_PATH"
)
SYSTEM_LIBRARIES = {
    "libgomp.so.1": DEBIAN if platform.machine() == "x86_64" else "apt-get install libgomp1",
    "libquadmath.so.0": DEBIAN,
    **dict.fromkeys(("libarmpl_lp64_mp.so", "libamath.so", "libastring.so"), ARM),
}


def _private_copy(module, **names):
    """Return a module with everything of `module` and with `names`, which `module` does not get."""
    copy = types.ModuleType(module.__name__, module.__doc__)
    # What `module` gets later, such as a submodule that is loaded at its first use.
    later = {"__getattr__": functools.partial(getattr, module)}
    vars(copy).update({**vars(module), **later, **names})
    return copy


def _renamed(function, **defaults):
    """Return a function of its own that does the same: MXNet registers a method for each."""

    def renamed(*args, **kwargs):
        return function(*args, **{**defaults, **kwargs})

    return functools.wraps(function)(renamed)


def _financial(name):
    def gone(*args, **kwargs):
        raise NotImplementedError(f"NumPy 1.20 dropped {name}; the package numpy-financial has it")

    return gone


@functools.cache
def _numpy():
    """Return NumPy with the names that MXNet reads and NumPy 1.20 to 2.4 took away."""
    import numpy

    # Also where NumPy 2 has the name again: its `bool` is another type than the one MXNet means.
    names = {"bool": bool, "int": int}
    lost = {
        **{"PZERO": 0.0, "NZERO": -0.0, "PINF": numpy.inf, "NINF": -numpy.inf},
        **{"Inf": numpy.inf, "NAN": numpy.nan, "NaN": numpy.nan},
        **{"alltrue": _renamed(numpy.all), "sometrue": _renamed(numpy.any)},
        **{"product": _renamed(numpy.prod), "round_": _renamed(numpy.round)},
        **{"in1d": _in1d, "msort": _renamed(numpy.sort, axis=0)},
        "trapz": getattr(numpy, "trapezoid", None),
        **{name: _financial(name) for name in ("mirr", "npv", "pmt", "ppmt", "pv", "rate")},
        "compat": types.SimpleNamespace(basestring=str),
    }
    names.update((name, value) for name, value in lost.items() if not _has(numpy, name))
    if _is_numpy_2(numpy):  # its numpy.core is a stub that warns, and goes away
        names["core"] = numpy._core
    return _private_copy(numpy, **names)


def _is_numpy_2(numpy):
    return not numpy.__version__.startswith("1.")


def _has(numpy, name):
    """Tell whether NumPy has a name, without the warnings of those that it is about to drop."""
    if name in vars(numpy):
        return True
    return name in getattr(numpy, "__expired_functions__", ())  # NumPy 1: functions that only raise


def _in1d(first, second, **kwargs):
    """Do what numpy.in1d did until NumPy 2.3: isin of flat arrays."""
    import numpy

    return numpy.isin(numpy.ravel(first), second, **kwargs)


def _context():
    """Return multiprocessing's way of starting processes for the workers of a DataLoader.

    They inherit the data set and hand over arrays that live in shared memory: they are forked.
    Python 3.14 forks only if it is told to. A user's own choice of "spawn" holds.
    """
    chosen = multiprocessing.get_start_method(allow_none=True)
    return multiprocessing.get_context("spawn" if chosen == "spawn" else "fork")


@functools.cache
def _multiprocessing():
    return _private_copy(
        multiprocessing,
        Pool=lambda *args, **kwargs: _context().Pool(*args, **kwargs),
        Process=lambda *args, **kwargs: _context().Process(*args, **kwargs),
        get_context=lambda method=None: (
            multiprocessing.get_context(method) if method else _context()
        ),
    )


class _Deferred(types.ModuleType):
    """A module that is imported when something in it is used."""

    def __getattr__(self, name):
        return getattr(importlib.import_module(self.__name__), name)


def _import(name, globals=None, locals=None, fromlist=(), level=0):
    """Import for MXNet's modules: the built-in `__import__` with these exceptions."""
    if level == 0:
        # MXNet imports these two, if they are there, for its old FeedForward, for a check in its
        # calibration and for its tests. They bring pandas and more: half the time of the import,
        # and 95 of 250 MB of every process.
        if name.split(".")[0] == "sklearn" and "sklearn" not in sys.modules:
            raise ImportError("MXNet runs without scikit-learn", name=name)
        scipy_stats = name == "scipy.stats" or (name == "scipy" and "stats" in (fromlist or ()))
        if scipy_stats and importlib.util.find_spec("scipy"):
            return types.SimpleNamespace(stats=_Deferred("scipy.stats"))
    module = builtins.__import__(name, globals, locals, fromlist, level)
    if level == 0 and (not fromlist or "." not in name):  # the result is the package itself
        package = name.split(".")[0]
        if package == "numpy":
            return _numpy()
        if package == "multiprocessing":
            return _multiprocessing()
    return module


# A module's own `__builtins__` serves the code of this module and its functions.
_BUILTINS = {**vars(builtins), "__import__": _import}

# MXNet writes a Python function for each of its 2,556 operators and compiles it during the import:
# 0.8 s, a third of the import. A program calls about a hundred of them. So the import compiles only
# the first line, with the arguments. The rest follows at the first call.
_FIRST_LINE = re.compile(r"^def .*:$", re.MULTILINE)
_OPERATORS: list[tuple[types.FunctionType, str]] = []


def _define_operator(source, _, names):
    """Do `exec(source, None, names)` for a function that is compiled when it is first called."""
    first_line = _FIRST_LINE.search(source).group()
    shared = sys._getframe(1).f_globals  # of MXNet's module, as with the built-in exec
    exec(f"{first_line} return _compile_and_call({len(_OPERATORS)}, locals())", shared, names)
    (function,) = names.values()
    _OPERATORS.append((function, source))


def _compile_and_call(number, arguments):
    """Give a function its own code, and call it with the arguments of its first call."""
    function, source = _OPERATORS[number]
    names: dict[str, types.FunctionType] = {}
    exec(source, function.__globals__, names)
    (whole,) = names.values()
    function.__code__ = whole.__code__  # the first line is the same, and with it the defaults
    more = arguments.pop("kwargs")
    positional = ()
    if function.__code__.co_flags & inspect.CO_VARARGS:  # arrays, and nothing else by position
        positional = arguments.popitem()[1]
    return function(*positional, **arguments, **more)


_REGISTER_BUILTINS = {
    **_BUILTINS,
    "exec": _define_operator,
    "_compile_and_call": _compile_and_call,
}


def _text(value):
    """Return `str(value)` as libmxnet reads it: not NumPy 2's "(np.int64(2), 3)" for "(2, 3)"."""
    text = str(value)
    if "np." in text:
        import numpy

        if _is_numpy_2(numpy):  # NumPy 1 writes no such names
            with numpy.printoptions(legacy="1.25"):
                text = str(value)
    return text


def _edit(function, constants=None, **names):
    """Let a function of MXNet use other names and constants than those in its source."""
    code = function.__code__
    function.__code__ = code.replace(
        co_names=tuple(names.get(name, name) for name in code.co_names),
        co_consts=tuple(
            (constants or {}).get(value, value) if isinstance(value, float) else value
            for value in code.co_consts
        ),
    )


def _write_parameters_as_text(module):
    """Let parameters of operators, iterators and variables have NumPy's numbers in their tuples."""
    module.str = _text


def _write_variables_as_text(module):
    module._text = _text  # `str` is also a type in this module
    _edit(module.var, str="_text")


def _give_scalars(module):
    """Let `asscalar` give a number for every shape: a (1, 1) array is none since NumPy 2.4."""
    import numpy

    asscalar = module.NDArray.asscalar

    @functools.wraps(asscalar)
    def scalar(self):
        return numpy.ravel(asscalar(self))[0]

    module.NDArray.asscalar = scalar


def _pack_with_tobytes(module):
    """Pack records with several labels: NumPy 2.3 dropped `tostring`."""
    _edit(module.pack, tostring="tobytes")
    _edit(module.pack_img, tostring="tobytes")


def _give_thresholds_as_numbers(module):
    """Let the calibration by entropy log its thresholds: arrays are no numbers since NumPy 2.4."""
    _edit(module._get_optimal_threshold, asnumpy="asscalar")


class _DoubleSum:
    """An attribute of a metric whose number adds up in double precision.

    Python's 0.0 plus a number in single precision is a double in NumPy 1, but single in NumPy 2.
    """

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        try:
            return vars(instance)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None

    def __set__(self, instance, value):
        import numpy

        if isinstance(value, numbers.Integral):  # a count, to which a float32 may be added
            value = numpy.int64(value)
        elif isinstance(value, numbers.Real):
            value = numpy.float64(value)
        vars(instance)[self._name] = value


def _sum_metrics_in_double(module):
    import numpy

    for name in ("sum_metric", "num_inst", "global_sum_metric", "global_num_inst"):
        attribute = _DoubleSum()
        attribute.__set_name__(module.EvalMetric, name)
        setattr(module.EvalMetric, name, attribute)
    # It adds up the arrays of one update in a variable of its own.
    _edit(module.Perplexity.update, {0.0: numpy.float64(0.0)})


REPAIRS = {
    "mxnet._ctypes.ndarray": _write_parameters_as_text,
    "mxnet._ctypes.symbol": _write_parameters_as_text,
    "mxnet.io.io": _write_parameters_as_text,
    "mxnet.symbol.symbol": _write_variables_as_text,
    "mxnet.ndarray.ndarray": _give_scalars,
    "mxnet.recordio": _pack_with_tobytes,
    "mxnet.contrib.quantization": _give_thresholds_as_numbers,
    "mxnet.metric": _sum_metrics_in_double,
}


class Loader(importlib.machinery.SourceFileLoader):
    """Loads a module of MXNet with the imports and repairs of this file."""

    def exec_module(self, module):
        register = module.__name__ in ("mxnet.ndarray.register", "mxnet.symbol.register")
        module.__builtins__ = _REGISTER_BUILTINS if register else _BUILTINS
        try:
            super().exec_module(module)
        except OSError as error:
            for name, what_to_do in SYSTEM_LIBRARIES.items():
                if name in str(error):
                    message = f"MXNet cannot be loaded: {error}. {what_to_do}"
                    raise GluonfaceError(message) from error
            raise
        if module.__name__ in REPAIRS:
            REPAIRS[module.__name__](module)


def load_with_repairs(spec):
    """Let `Loader` load the module of an import's spec. Other forms than a source file stay."""
    if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
        spec.loader = Loader(spec.loader.name, spec.loader.path)
    return spec
