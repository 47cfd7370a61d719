"""What runs a network: MXNet on a symbol, OpenVINO or onnxruntime on ONNX. Arrays in and out."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import pathlib
import tempfile
import typing

import numpy as np

from .._compat import mx, thread_count
from ..errors import DataError, GluonfaceError, InputError, MissingExtraError, shown_text
from ..evaluation.scores.flip import normalize_rows
from ..weights.graph import Graph
from ..weights.mxnet_params import split_params
from ..weights.onnx.parts import OnnxParts, take_numbers
from ..weights.onnx.row_independence import row_length, rows_are_independent
from ..weights.opened import open_weights
from . import symbol_trial
from .onnx.engine_input import for_onnxruntime, read_with_openvino
from .onnx.split_prelu import split_prelus
from .parity import noise
from .rewriting.rewrite import fuse, rewrite

__all__ = [
    "AGREE",
    "Engine",
    "OnnxEngine",
    "OpenVinoEngine",
    "SymbolEngine",
    "check_independence",
    "check_rows",
    "errors_of",
    "has_cuda",
    "largest_difference",
    "run_in_chunks",
]

logger = logging.getLogger(__name__)

# Images that a CPU runs at a time: what they need stays in its caches. Measured; see docs/export.
CHUNK = 8
PROBE = 2  # images that a network is tried with, beside one alone
AGREE = 1e-4  # of unit embeddings: what a rewritten graph may differ from the plain one


class SymbolEngine:
    """Run a symbol with MXNet.

    Parameters
    ----------
    symbol : mx.sym.Symbol
        One input, ``data``, and one output.
    arrays : dict of str to numpy.ndarray
        Parameters under ``arg:NAME`` and ``aux:NAME``.
    ctx : mx.Context
    input_size : (int, int), default (112, 112)
    source : str
        For messages: where the parameters are from.
    fast : bool, default True
        Whether a CPU may run other operators with the same result. See `rewrite`.
    chunk : int or None, default 8
        How many images a CPU runs at a time; None for all.

    Raises
    ------
    DataError
        If a parameter is missing or has a shape that does not fit; it is named.
    """

    fixed_batch = None
    takes_bytes = False

    def __init__(
        self,
        symbol: typing.Any,
        arrays: dict[str, np.ndarray],
        ctx: typing.Any,
        input_size: tuple[int, int] = (112, 112),
        source: str = "the parameters",
        fast: bool = True,
        chunk: int | None = CHUNK,
    ):
        self.ctx = ctx
        args, auxs = split_params(arrays)
        shapes = _check_shapes(symbol, args, auxs, input_size, source)
        if len(shapes[1][0]) != 2:
            raise DataError(
                f"the symbol's output of {source} has the shape {shapes[1][0]}; expected (N, D)"
            )
        self.embedding_size, self._source = shapes[1][0][1], source
        with errors_of("MXNet", "load", source):
            plain = rewrite(symbol, args, auxs, input_size, fast=False)
            self.variant, self.graph = "plain", plain[0]
            if fast and ctx.device_type == "cpu":
                self._program = self._fastest(symbol, args, auxs, input_size, plain)
            else:
                self._program = _Program(plain[0], plain[1], ctx)
        self._chunk = chunk if ctx.device_type == "cpu" else None
        self.name = f"MXNet {mx.__version__}"
        if self.variant != "plain":
            self.name += f", {self.variant} graph"
        self.device = str(ctx)

    def _fastest(self, symbol, args, auxs, size, plain):
        """Return the fastest graph that MXNet can run and that gives the plain one's outputs."""
        images = noise(size)
        expected = _Program(*plain, self.ctx, static=False).run(images)
        changed, values = rewrite(symbol, args, auxs, size)
        for variant, step in (("fused", fuse), ("rewritten", lambda symbol: symbol)):
            try:
                program = _Program(step(changed), values, self.ctx)
                actual = [program.run(images) for _ in range(2)][1]
            except mx.MXNetError as error:
                reason = str(error).strip().splitlines()[-1]
                logger.info("MXNet cannot run the %s graph (%s)", variant, reason)
                continue
            difference = largest_difference(actual, expected)
            if difference < AGREE:
                self.variant, self.graph = variant, changed
                return program
            logger.warning(
                "the %s graph differs from the plain one by %.2g (unit embeddings of noise); it "
                "is not used",
                variant,
                difference,
            )
        return _Program(*plain, self.ctx)

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs (N,D) float32 for images (N,3,H,W) float32."""
        with errors_of("MXNet", "run", self._source):
            return _by_chunks(self._program.run, images, self._chunk)

    def run_operators_singly(self) -> None:
        """Let MXNet run each operator by itself, so that its profiler sees it. Slower."""
        self._program.compile(static_alloc=True, static_shape=False)


class _Program:
    """A symbol that MXNet has planned, and its parameters.

    Gluon's SymbolBlock does the same, but collects all parameters at every call and copies images
    through Python: with one image in a small network that took a sixth of the time.
    """

    def __init__(self, symbol, values, ctx, static=True):
        self._symbol, self._ctx = symbol, ctx
        names = symbol.list_inputs()
        self._arrays = [
            None if name == "data" else mx.nd.array(values[name], ctx=ctx, dtype=np.float32)
            for name in names
        ]
        self._data = names.index("data")
        self.compile(static_alloc=static, static_shape=static)

    def compile(self, **flags):
        """Plan anew, with flags of MXNet's CachedOp."""
        others = [i for i in range(len(self._arrays)) if i != self._data]
        flags.update(data_indices=[self._data], param_indices=others)
        self._op = mx.nd.CachedOp(self._symbol, list(flags.items()))

    def run(self, images):
        """Return the output for images (N,3,H,W) as NumPy has it."""
        images = np.ascontiguousarray(images, np.float32)
        arrays = list(self._arrays)
        arrays[self._data] = mx.nd.empty(images.shape, self._ctx)
        arrays[self._data]._sync_copyfrom(images)
        return self._op(*arrays).asnumpy()


def largest_difference(actual, expected):
    """Return the largest difference between the elements of unit embeddings."""
    return np.abs(normalize_rows(actual) - normalize_rows(expected)).max()


def run_in_chunks(run, images, size):
    """Run images `size` at a time. The last chunk is filled up: a new size costs a new plan."""
    outputs = []
    for start in range(0, len(images), size):
        chunk = images[start : start + size]
        if len(chunk) < size:
            fill = np.zeros((size - len(chunk), *chunk.shape[1:]), np.float32)
            chunk = np.concatenate([chunk, fill])
        outputs.append(run(chunk))
    return np.concatenate(outputs)[: len(images)]


def _by_chunks(run, images, size):
    """Run all images at once if they are few or `size` is None, else in chunks."""
    small = size is None or len(images) <= size
    return run(images) if small else run_in_chunks(run, images, size)


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REMEDY = "Try another engine (--engine), or export the model again."


@contextlib.contextmanager
def errors_of(engine: str, doing: str, source: typing.Any) -> typing.Iterator[None]:
    """Turn any exception of an engine into a DataError; they share no base class of their own.

    Parameters
    ----------
    engine : str
        Its name.
    doing : str
        What it was to do: "load", "run".
    source : str or pathlib.Path
        The file, for the message.
    """
    try:
        yield
    except GluonfaceError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:  # of its temporary files
            where = error.filename or tempfile.gettempdir()
            raise OSError(error.errno, error.strerror, where) from None
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        # OpenVINO and MXNet tell the reason last, after where in their own source it was.
        lines = lines or [type(error).__name__]
        reason = lines[0] if engine == "onnxruntime" else lines[-1]
        if isinstance(error, UnicodeDecodeError):  # OpenVINO's message has bytes of the file
            reason = "it says why in bytes that are no text"
        raise DataError(
            f"{engine} cannot {doing} {source}: {shown_text(reason)}. {REMEDY}"
        ) from None


def _infer(infer, what, **shapes):
    try:
        return infer(**shapes)
    # Beside its own errors, TypeError and bare ones for sizes that no array can have.
    except Exception as error:
        reason = (str(error).strip().splitlines() or ["unreadable"])[-1]
        raise DataError(f"{what}: {shown_text(reason)}") from None


def _check_shapes(symbol, args, auxs, size, source):
    """Raise unless the parameters fit the symbol; return what `infer_shape` does."""
    inputs = symbol.list_arguments()
    if "data" not in inputs:
        raise DataError(
            f"the symbol of {source} has no input named 'data'; its inputs begin {inputs[:3]}"
        )
    data = {"data": (1, 3, *size)}
    for names, values in ((inputs, args), (symbol.list_auxiliary_states(), auxs)):
        for name in names:
            if name != "data" and name not in values:
                raise DataError(f"{source} lacks {name!r}, which the symbol needs")
    # First what the symbol needs by itself: MXNet accepts some wrong shapes that it is given.
    images = f"the symbol of {source} cannot take images of {size[0]}x{size[1]}"
    needed = _infer(symbol.infer_shape_partial, images, **data)
    shared = {  # a PReLU may have one slope for all channels
        node.inputs[1][0].name
        for node in Graph.from_symbol(symbol).nodes()
        if node.op == "LeakyReLU" and len(node.inputs) > 1
    }
    kinds = ((inputs, needed[0], args), (symbol.list_auxiliary_states(), needed[2], auxs))
    for names, shapes, values in kinds:
        for name, shape in zip(names, shapes):
            if name == "data" or not shape or 0 in shape or -1 in shape:
                continue
            actual = values[name].shape
            if actual != tuple(shape) and not (name in shared and actual == (1,)):
                raise DataError(
                    f"{name!r} in {source} has the shape {actual}; the symbol needs {shape}"
                )
    known = {name: args[name].shape for name in inputs if name in args}
    return _infer(symbol.infer_shape, f"{source} does not fit the symbol", **data, **known)


def check_rows(
    symbol: typing.Any,
    graph: Graph,
    arrays: dict[str, np.ndarray],
    size: tuple[int, int],
    source: str,
) -> None:
    """Raise DataError unless a symbol gives a row for each image; parameters as of an engine."""
    args, auxs = split_params(arrays)
    one = _check_shapes(symbol, args, auxs, size, source)[1][0]
    known = {name: args[name].shape for name in symbol.list_arguments() if name in args}
    more = _infer(
        symbol.infer_shape,
        f"{source} does not fit the symbol",
        data=(PROBE, 3, *size),
        **known,
    )
    _require_rows(source, one, more[1][0])
    symbol_trial.check_memory(symbol, graph, {"data": (1, 3, *size), **known}, source)


def check_independence(graph: Graph, engine: Engine, size: tuple[int, int], source: str) -> None:
    """Raise DataError if an image's row changes with the other images, by the graph or a trial."""
    if not symbol_trial.rows_are_independent(graph):
        images = _unlike(size)
        _require_independence(source, engine.run(images[:1])[0], engine.run(images)[0])


def _require_rows(source, one, more):
    """Raise unless the outputs for 1 and for `PROBE` images have a row for each."""
    if tuple(one)[:1] != (1,) or tuple(more) != (PROBE, *one[1:]):
        raise DataError(
            f"{source} gives an output of the shape {tuple(one)} for 1 image and {tuple(more)} for "
            f"{PROBE}; expected a row for each image, (N,D)"
        )


def _unlike(size):
    """Return two images (2,3,H,W) float32 of which a network makes different rows."""
    images = noise(size)
    images[1] = np.linspace(0, 255, size[0], dtype=np.float32).round()[:, None]
    return images


def _require_independence(source, alone, among):
    """Raise unless an image has the same output alone and among `PROBE`."""
    first, second = normalize_rows(np.stack([alone, among]))
    if np.isfinite(second).all() and second.any() and first @ second < SAME:
        raise DataError(
            f"{source} gives another output for an image alone than for the same image among "
            f"{PROBE} (cosine {first @ second:.2f}); expected a network that treats the images of "
            "a batch one by one"
        )


def has_cuda():
    """Return whether onnxruntime, which is installed, has a GPU."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


# Types that a network may take, by what onnxruntime and OpenVINO call them.
TYPES = {
    **{"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"},
    **{"f32": "float32", "f16": "float16", "f64": "float64"},
    **dict.fromkeys(("tensor(uint8)", "u8"), "uint8"),
}
FLOATS = TYPES.keys() - {"tensor(uint8)", "u8"}
SAME = 0.999  # least cosine of an image's output alone and among others; rounding makes 1e-6


class _OnnxNetwork:
    """What both engines for ONNX share: its shapes and types, and running it in chunks.

    Attributes
    ----------
    fixed_batch : int or None
        How many images it takes, if it is bound to a number.
    takes_bytes : bool
        Whether its input is uint8: pixels 0 to 255, which nothing may normalise before.
    input_size : (int, int)
    static_size : (int, int) or None
        The same if the file says it.
    """

    device: str
    program: str
    _forward: typing.Callable[[np.ndarray], np.ndarray]

    def _check(self, path, model, inputs, outputs):
        """Check ``[(shape, type)]`` of inputs and outputs, and perhaps what it gives for noise."""
        shape, kind = inputs[0] if inputs else ([], None)
        if len(inputs) != 1 or len(outputs) != 1 or len(shape) != 4 or shape[1] != 3:
            raise DataError(
                f"{path} has {len(inputs)} inputs, the first {shape}, and {len(outputs)} outputs; "
                "expected one input (N,3,H,W) and one output (N,D)"
            )
        if kind not in TYPES:
            raise DataError(
                f"{path} takes {kind}; expected float32, float16, float64 or uint8 pixels. Export "
                "it with such an input."
            )
        self._path, self._type = path, np.dtype(TYPES[kind])
        self.takes_bytes = self._type == np.uint8
        self.fixed_batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None
        static = [n if isinstance(n, int) and n > 0 else None for n in shape[2:]]
        self.static_size = None if None in static else tuple(static)
        self.input_size = tuple(n or 112 for n in static)
        size, (shape, kind) = row_length(model), outputs[0]
        agrees = len(shape) == 2 and (shape[1] == size or not isinstance(shape[1], int))
        if size and agrees and not self.fixed_batch and kind in FLOATS:
            self.embedding_size = size
        else:
            self._probe(model)

    def _probe(self, model):
        """Run it on images, with one and perhaps with more; set the embedding size."""
        images = _unlike(self.input_size) / (1 if self.takes_bytes else 255)
        if self.fixed_batch:
            images = np.resize(images, (self.fixed_batch, *images.shape[1:]))
            rows = self._run(images)
            if rows.ndim != 2 or len(rows) != self.fixed_batch or not rows.size:
                raise DataError(
                    f"{self._path} gives an output of the shape {rows.shape} for its batch of "
                    f"{self.fixed_batch}; expected a row for each image, (N,D)"
                )
        else:
            rows = self._run(images[:1])
            if rows.ndim != 2 or len(rows) != 1 or not rows.size:
                raise DataError(
                    f"{self._path} gives an output of the shape {rows.shape} for 1 image; expected "
                    "a row for each image, (N,D)"
                )
            if not rows_are_independent(model):
                self._probe_more(images, rows)
        self.embedding_size = rows.shape[1]

    def _probe_more(self, images, one):
        """Compare the output for several images with that for the first alone."""
        try:
            more = self._run(np.resize(images, (PROBE, *images.shape[1:])))
        except DataError as error:
            logger.info("it is run one image at a time: %s", error)
            self.fixed_batch = 1
            return
        _require_rows(self._path, one.shape, more.shape)
        _require_independence(self._path, one[0], more[0])

    def _run(self, images):
        """Return the output for images that fit in one run, whatever its shape is."""
        with errors_of(self.program, "run", self._path):
            if self.takes_bytes:
                images = np.rint(images)
            rows = np.asarray(self._forward(images.astype(self._type, copy=False)))
        if rows.dtype.kind != "f":
            raise DataError(
                f"{self._path} gives {rows.dtype}; expected an embedding of float32, float16 or "
                "float64"
            )
        return rows.astype(np.float32, copy=False)

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs (N,D) float32 for images (N,3,H,W) float32."""
        size = None if self.fixed_batch or self.device != "cpu" else CHUNK
        return _by_chunks(self._run_rows, images, size)

    def _run_rows(self, images):
        """Return the outputs, which not every network that was loaded has been tried for."""
        rows, expected = self._run(images), (len(images), self.embedding_size)
        if rows.shape != expected:
            raise DataError(
                f"{self._path} gives an output of the shape {rows.shape} for {len(images)} images; "
                f"expected {expected}"
            )
        return rows


class OnnxEngine(_OnnxNetwork):
    """Run an ONNX file with onnxruntime.

    Parameters
    ----------
    path : pathlib.Path
        The file; for messages alone if there is a `model`.
    gpu : bool or None
        True: only on a GPU; None: on a GPU if onnxruntime has one; False: on the CPU.
    model : bytes or OnnxParts, optional
        The content, where it has been read or parsed already.

    Raises
    ------
    MissingExtraError
        Without onnxruntime.
    DataError
        If onnxruntime cannot load the file, or it is not a network from images to embeddings.
    InputError
        If a GPU is asked for and onnxruntime has none.
    """

    program = "onnxruntime"

    def __init__(
        self,
        path: pathlib.Path,
        gpu: bool | None = None,
        model: bytes | OnnxParts | None = None,
    ):
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "onnx", f"to run {path.name}") from error
        cuda = has_cuda()
        if gpu and not cuda:
            raise InputError(
                "the installed onnxruntime has no CUDA provider; use ctx='cpu' or install "
                "onnxruntime-gpu"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = thread_count()
        options.log_severity_level = 4  # what is an error becomes one of ours
        providers = ["CPUExecutionProvider"]
        if cuda and gpu is not False:
            providers.insert(0, "CUDAExecutionProvider")
        parts = _parts(path, model)
        with errors_of("onnxruntime", "load", path):
            given = parts
            if len(providers) == 1:  # on a CPU
                given = parts._replace(model=split_prelus(parts.model))
            content = for_onnxruntime(given, options)
            self._session = onnxruntime.InferenceSession(content, options, providers=providers)
            ports = self._session.get_inputs(), self._session.get_outputs()
            self._input = ports[0][0].name if ports[0] else ""
            self.device = "gpu" if "CUDA" in self._session.get_providers()[0] else "cpu"
        shapes = ([(list(port.shape), port.type) for port in some] for some in ports)
        self._check(path, parts.model, *shapes)
        self.name = f"onnxruntime {onnxruntime.__version__}"

    def _forward(self, images):
        return self._session.run(None, {self._input: images})[0]


class OpenVinoEngine(_OnnxNetwork):
    """Run an ONNX file with OpenVINO on the CPU.

    Parameters
    ----------
    path : pathlib.Path
        The file; for messages alone if there is a `model`.
    model : bytes or OnnxParts, optional
        As for `OnnxEngine`.
    precision : {"float32", "bfloat16"}, default "float32"
        What convolutions and matrices compute in, if the CPU has it.

    Raises
    ------
    MissingExtraError
        Without openvino.
    DataError
        If OpenVINO cannot load the file, or it is not a network from images to embeddings.
    """

    device = "cpu"
    program = "OpenVINO"

    def __init__(
        self,
        path: pathlib.Path,
        model: bytes | OnnxParts | None = None,
        precision: str = "float32",
    ):
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError("openvino", "openvino", f"to run {path.name}") from error
        settings = {
            "INFERENCE_NUM_THREADS": thread_count(),
            "PERFORMANCE_HINT": "LATENCY",  # all threads on one batch
            # By default it computes in bfloat16 where the CPU can, with two or three digits.
            "INFERENCE_PRECISION_HINT": "f32" if precision == "float32" else "bf16",
        }
        core = _openvino_core()
        parts = _parts(path, model)
        with errors_of("OpenVINO", "load", path):
            network = read_with_openvino(core, parts)
            ports = [
                [(_openvino_shape(port), port.element_type.get_type_name()) for port in some]
                for some in (network.inputs, network.outputs)
            ]
            compiled = core.compile_model(network, "CPU", settings)
            self._request = compiled.create_infer_request()
            self._output = compiled.output(0) if compiled.outputs else None
        self._check(path, parts.model, *ports)
        self.name = f"OpenVINO {openvino.__version__.split('-')[0]}"
        if precision != "float32":
            self.name += f", {precision}"

    def _forward(self, images):
        # The result lies in a buffer of OpenVINO's, which the next run overwrites.
        return np.array(self._request.infer({0: images}, share_inputs=True)[self._output])


Engine = typing.Union[SymbolEngine, OnnxEngine, OpenVinoEngine]


@functools.cache
def _openvino_core():
    """Return the only core of this process.

    A core gives the thread that makes it a stack for signals, and restores the former one when it
    is destroyed. Of two cores that are destroyed in the order in which they were made, the second
    restores the stack of the first, which is unmapped by then; the next signal, such as Ctrl-C,
    ends the process with a segmentation fault (OpenVINO 2025.3).
    """
    import openvino

    return openvino.Core()


def _parts(path, model):
    """Return the network of a file, or of its content, which has been checked, in two parts."""
    if model is None:
        return open_weights(path).onnx_parts
    if not isinstance(model, bytes):
        return model
    import onnx

    bare, numbers = take_numbers(model)
    with errors_of("onnx", "load", path):
        return OnnxParts(onnx.load_from_string(bare), numbers)


def _openvino_shape(port):
    shape = port.partial_shape
    if not shape.rank.is_static:
        return []
    return [n.get_length() if n.is_static else None for n in shape]
