"""Read the tensors of PyTorch's files (.pth, .pt) without PyTorch.

Both containers: the zip that PyTorch writes since 1.6, and the sequence of pickles from before.
Nothing that a pickle names is imported or called. What tensors are made of leads to the stand-ins
below, the names in `HOSTILE` to an error, and any other name, such as a class of the training
script beside the tensors, to a stand-in that does nothing.
"""

from __future__ import annotations

import io
import math
import os
import pathlib
import struct
import typing
import zipfile

import numpy as np

from ..data.unpickle import StrictUnpickler, restored
from ..errors import DataError, shown, shown_text
from .content import MAX_DIMENSIONS, MAX_NUMBER, read_bytes

__all__ = ["is_hostile", "read_torch", "read_torch_values", "widened"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
WRAPPERS = ("state_dict", "state_dict_backbone", "model", "backbone", "net")
MAX_DEPTH = 3  # of dicts around the tensors
MAX_KEY = 10_000  # characters of a key of a dict
SPARE = 1 << 20  # bytes that all tensors may have beyond those of the file; several may share some

# Modules of which no checkpoint needs a name: what runs programs or code, changes or sends files,
# or leads to any of this. As pickle names them, also under Python 2.
_MODULES = """
os posix nt sys subprocess _posixsubprocess commands popen2 pty platform shutil tempfile fileinput
io _io codeop code runpy imp importlib zipimport pkgutil pkg_resources ctypes _ctypes cffi
signal socket _socket asyncio urllib urllib2 http httplib ftplib smtplib poplib imaplib telnetlib
xmlrpc socketserver webbrowser antigravity requests aiohttp httpx paramiko pickle _pickle cPickle
dill cloudpickle joblib shelve marshal yaml jsonpickle timeit trace profile cProfile pdb bdb doctest
inspect gc types operator _operator atexit venv ensurepip pip setuptools distutils site IPython
idlelib lib2to3 sqlite3 _sqlite3 winreg _winapi msvcrt
"""
HOSTILE_MODULES = frozenset(_MODULES.split())
BUILTINS = ("builtins", "__builtin__", "__builtins__")
# Of the built-in names these are types of values, which do no harm.
_VALUES = """
set frozenset bytearray bytes complex slice range xrange int long float bool str unicode list tuple
dict object NoneType Ellipsis NotImplemented
"""
HARMLESS = {
    *((module, name) for module in BUILTINS for name in _VALUES.split()),
    *(("types", "SimpleNamespace"), ("io", "BytesIO"), ("io", "StringIO")),
    *((module, "itemgetter") for module in ("operator", "_operator")),
}
# By the beginning of a whole name.
HOSTILE = (
    *("torch.load", "torch.hub.", "torch.jit.load", "torch.jit.unsupported", "torch.package."),
    *("torch.serialization.load", "torch.utils.cpp_extension.", "torch.utils.model_zoo."),
    *("torch.utils.collect_env.", "torch.utils.bottleneck.", "torch.utils._config_module."),
    *("torch.ops.", "torch.classes.", "torch._inductor.", "torch._dynamo.guards."),
    *("torch.fx.experimental.", "torch.distributed.launch", "torch.utils.data.datapipes.utils."),
    *("numpy.load", "numpy.save", "numpy.fromfile", "numpy.testing.", "numpy.f2py."),
    *("numpy.distutils.", "numpy.ctypeslib.", "functools.reduce", "logging.config."),
    *("multiprocessing.util.", "multiprocessing.popen", "pandas.read_", "pandas.eval"),
    *("pathlib.Path.", "pathlib.PosixPath.", "pathlib.WindowsPath."),
)
# Anywhere in a name with dots: what a module of the harmless kind has imported.
LEADING = {"os", "sys", "subprocess", "builtins", "importlib", "shutil", "pickle", "eval", "exec"}


class _Type:
    """Stands for a storage class, such as torch.FloatStorage: the type of its numbers."""

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype)


_BFLOAT16 = _Type("<u2")  # float32 without its lower half
_TYPES = {
    "FloatStorage": _Type("<f4"),
    "HalfStorage": _Type("<f2"),
    "DoubleStorage": _Type("<f8"),
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": _Type("<i8"),
    "IntStorage": _Type("<i4"),
    "ShortStorage": _Type("<i2"),
    "CharStorage": _Type("i1"),
    "ByteStorage": _Type("u1"),
    "BoolStorage": _Type("?"),
}

# The types of quantised tensors, as of EdgeFace's files whose names end in "_q".
_QUANTIZED = {
    f"torch.{kind}Storage" for kind in ("QInt8", "QUInt8", "QInt32", "QUInt4x2", "QUInt2x4")
}
# Where the file with the floats is not called as the quantised one without "_q".
_FLOAT_FILES = {"edgeface_xs_q": "edgeface_xs_gamma_06"}


class _QuantizedError(DataError):
    """The tensors of a file are quantised."""


class _Storage:
    """The numbers of one or more tensors; `raw`, their bytes, is filled in later."""

    raw = None

    def __init__(self, kind, key, count):
        self.kind, self.key, self.count = kind, key, count

    @property
    def size(self):
        return self.count * self.kind.dtype.itemsize


class _Tensor:
    """Numbers of a storage, by offset, shape and strides."""

    def __init__(self, storage, offset, shape, strides):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    @property
    def size(self):
        """How many bytes its numbers take as they are in the file."""
        return math.prod(self.shape) * self.storage.kind.dtype.itemsize

    def __setstate__(self, state):
        """Forget the attributes."""

    def array(self):
        """Return the numbers; unless they were bfloat16 they are a view of the file's."""
        storage = self.storage
        row = np.frombuffer(storage.raw, storage.kind.dtype)[self.offset :]
        steps = [step * row.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(row, self.shape, steps, writeable=False)
        return widened(view) if storage.kind is _BFLOAT16 else view


class _Dict(dict):
    """Stands for collections.OrderedDict, whose attributes (_metadata) are of no use here."""

    def __setitem__(self, key, value):
        """Set a value; the key must be a plain one."""
        super().__setitem__(_plain(key), value)

    def __setstate__(self, state):
        """Forget the attributes."""


class _Inert:
    """Stands for anything else: a class or function, what it would make, what that holds."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *args, **kwargs):
        """Return what stands for the result; nothing is called."""
        return self

    def _ignore(self, *args):
        """Do nothing: what a pickle puts into lists, sets, dicts and objects."""

    __setitem__ = __setstate__ = append = extend = add = _ignore


def _plain(key):
    """Return a key of a dict that Python can hash whatever is in it.

    A tuple in a tuple, 100,000 times, ends the process when it is hashed.
    """
    simple = isinstance(key, (str, bytes, int, float, type(None), _Inert, _Type))
    if isinstance(key, tuple):
        simple = all(isinstance(part, (str, bytes, int, float, type(None))) for part in key)
    if not simple or (isinstance(key, (str, bytes, tuple)) and len(key) > MAX_KEY):
        raise DataError(f"it holds a dict with the key {shown(key)}; expected a name or a number")
    return key


def _ordered_dict(*args):
    """Stand for OrderedDict, as it is called."""
    made = _Dict()
    for pair in args[0] if args and isinstance(args[0], (list, tuple)) else ():
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise DataError("it holds a dict that is made of something else than pairs")
        made[pair[0]] = pair[1]
    return made


def _default_dict(*_):
    return _Dict()


def _whole(values):
    return isinstance(values, tuple) and all(
        type(n) is int and 0 <= n <= MAX_NUMBER for n in values
    )


def _rebuild_tensor(storage=None, offset=None, shape=None, strides=None, *_):
    if not isinstance(storage, _Storage) or not _whole((offset,)):
        raise DataError("it holds a tensor without numbers")
    for sizes in (shape, strides):
        if not isinstance(sizes, tuple) or len(sizes) > MAX_DIMENSIONS or not _whole(sizes):
            raise DataError("it holds a tensor with an impossible shape")
    if len(shape) != len(strides):
        raise DataError("it holds a tensor with an impossible shape")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides))
    if math.prod(shape) > storage.count or (math.prod(shape) and last >= storage.count):
        raise DataError(
            f"it holds a tensor of shape {shape}, but only {storage.count} numbers for it"
        )
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor=None, *_):
    return tensor


def _rebuild_from_type(function=None, kind=None, args=(), *_):
    """Stand for what makes a subclass of a tensor."""
    if function in (_rebuild_tensor, _rebuild_parameter) and isinstance(args, tuple):
        return function(*args)
    return _Inert("torch._tensor._rebuild_from_type_v2")


def _size(*args):
    """Stand for torch.Size."""
    return tuple(args[0]) if args and isinstance(args[0], (list, tuple)) else ()


def is_hostile(module: str, name: str) -> bool:
    """Whether no checkpoint needs such a name: it runs code or programs, or reaches for files."""
    if (module, name) in HARMLESS:
        return False
    whole = f"{module}.{name}"
    first, *rest = whole.split(".")
    return (
        first in HOSTILE_MODULES
        or first in BUILTINS
        or not LEADING.isdisjoint(rest)
        or any(part.startswith("__") and part.endswith("__") for part in rest)
        or whole.startswith(HOSTILE)
    )


class _TorchUnpickler(StrictUnpickler):
    allowed = {  # noqa: RUF012  (not to be changed)
        ("collections", "OrderedDict"): _ordered_dict,
        ("collections", "defaultdict"): _default_dict,
        ("torch", "Size"): _size,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
        ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type,
        **{("torch", name): kind for name, kind in _TYPES.items()},
    }
    restored = (_Dict, _Inert, _Tensor)  # type: ignore[assignment]
    needs = "file of weights"

    def __init__(self, file, storages):
        super().__init__(file, encoding="utf-8")
        self.storages = storages

    def find_class(self, module, name):
        """Return what stands for a name; nothing is imported."""
        if (module, name) in self.allowed:
            return self.allowed[module, name]
        if not isinstance(module, str) or not isinstance(name, str):
            raise DataError("it names something by what is no text")
        if is_hostile(module, name):
            return super().find_class(module, name)
        return _Inert(f"{module}.{name}")

    def persistent_load(self, pid):
        """Return the storage that a persistent id describes."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6):
            raise DataError("it refers to something that is no storage of numbers")
        what, kind, key, _, count = pid[:5]
        if not isinstance(what, str) or what != "storage":
            raise DataError("it refers to something that is no storage of numbers")
        if isinstance(kind, _Inert) and kind.name in _QUANTIZED:
            raise _QuantizedError("its tensors are quantised to 8 bits or fewer, which is not read")
        if not isinstance(kind, _Type) or not isinstance(key, str) or not _whole((count,)):
            raise DataError(
                "it refers to a storage of an unknown kind"
                + (f", {shown(kind.name)}" if isinstance(kind, _Inert) else "")
            )
        if len(pid) == 6 and pid[5] is not None:
            raise DataError("it holds a storage that is part of another, as PyTorch before 0.4 did")
        storage = self.storages.setdefault(key, _Storage(kind, key, count))
        if (storage.kind, storage.count) != (kind, count):
            raise DataError(f"it describes the storage {shown(key)} in two ways")
        return storage

    def load_setitem(self):
        """Set an item of a dict."""
        value, key = self.stack.pop(), self.stack.pop()
        self._put([key, value])

    def load_setitems(self):
        """Set items of a dict."""
        self._put(self.pop_mark())

    def _put(self, items):
        target = self.stack[-1]
        if not isinstance(target, (dict, _Inert)):
            raise DataError(f"it asks to change a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2]):
            target[_plain(key)] = value

    def load_dict(self):
        """Make a dict of the items since the mark."""
        items = self.pop_mark()
        self.append(_ordered_dict(list(zip(items[::2], items[1::2]))))

    def load_additems(self):
        """Add to a set: none is made, so that nothing is hashed."""
        self.pop_mark()

    def load_frozenset(self):
        """Stand for a set, as `load_empty_set` does."""
        self.pop_mark()
        self.append(_Inert("builtins.frozenset"))

    def load_empty_set(self):
        """Stand for a set."""
        self.append(_Inert("builtins.set"))

    def load_newobj(self):
        """Make an object of a class without calling the class."""
        args, kind = self.stack.pop(), self.stack.pop()
        self.append(_made(kind, args, self.allowed))

    def load_newobj_ex(self):
        """Make an object of a class without calling the class."""
        _, args, kind = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.append(_made(kind, args, self.allowed))

    def load_reduce(self):
        """Make what a call of a stand-in gives."""
        args, function = self.stack.pop(), self.stack.pop()
        self.append(_made(function, args, self.allowed))

    def _instantiate(self, kind, args):
        """Make an object of a class, as protocols 0 and 1 ask for."""
        self.append(_made(kind, tuple(args), self.allowed))

    def load_ext1(self):
        """Refuse names by number, which are of other programs."""
        raise DataError("it names something by a number of another program")

    load_ext2 = load_ext4 = load_ext1

    def load_next_buffer(self):
        """Refuse buffers outside the file."""
        raise DataError("it refers to bytes outside the file")

    load_readonly_buffer = load_next_buffer


def _made(function, args, allowed):
    """Return what a stand-in, one of the `allowed`, makes of arguments."""
    if isinstance(function, _Inert):
        return function
    known = any(function is one for one in allowed.values())
    if not known or not isinstance(args, tuple):
        raise DataError(f"it asks to call a {type(function).__name__}")
    return _Inert("torch.Storage") if isinstance(function, _Type) else function(*args)


class _ValuesUnpickler(_TorchUnpickler):
    """Reads NumPy's arrays as well, of which `torch.save` takes whatever a dict holds."""

    allowed = {**StrictUnpickler.allowed, **_TorchUnpickler.allowed}  # noqa: RUF012
    restored = (*StrictUnpickler.restored, *_TorchUnpickler.restored)  # type: ignore[assignment]
    needs = "file of tensors and lists"


def _read_zip(data, unpickler=_TorchUnpickler):
    """Return the unpickled content of a zip, its storages filled."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = _members(archive, len(data))
        tops = [name[: -len("data.pkl")] for name in members if name.endswith("/data.pkl")]
        if len(tops) != 1:
            raise DataError(f"it holds {len(tops)} files */data.pkl; PyTorch writes one")
        top = tops[0]
        order = members.get(f"{top}byteorder")
        if order is not None and archive.read(order).strip() != b"little":
            raise DataError("its numbers are big-endian; save it on another machine")
        storages = {}
        value = unpickler(io.BytesIO(archive.read(members[f"{top}data.pkl"])), storages).read_one()
        for key, storage in storages.items():
            info = members.get(f"{top}data/{key}")
            found = "nothing" if info is None else f"{info.file_size} bytes"
            if info is None or info.file_size != storage.size:
                raise DataError(
                    f"its storage {shown(key)} has {found}; {storage.size} were expected"
                )
            storage.raw = archive.read(info)
    return value


def _members(archive, size):
    """Return the members of a zip by name, none of them compressed or in another."""
    members, end = {}, 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.filename in members:
            raise DataError(f"it holds {shown(info.filename)} twice")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise DataError(
                f"its member {shown(info.filename)} is compressed, which PyTorch never does; save "
                "it with torch.save, or unzip it and zip it again with `zip -0`"
            )
        if info.header_offset < end or info.header_offset + info.file_size > size:
            raise DataError(f"its member {shown(info.filename)} lies in another")
        end = info.header_offset + info.file_size
        members[info.filename] = info
    return members


def _read_legacy(data, unpickler=_TorchUnpickler):
    """Return the unpickled content of a file from before PyTorch 1.6, its storages filled."""
    file, storages, numbers = io.BytesIO(data), {}, memoryview(data)

    def read():
        return unpickler(file, storages).read_one()

    if read() != LEGACY_MAGIC:
        raise DataError("it is no file that PyTorch wrote")
    if read() != LEGACY_PROTOCOL:
        raise DataError("it has another protocol than 1001, the only one that PyTorch used")
    read()  # about the machine
    value, keys = read(), read()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise DataError("it lists no storages")
    if set(keys) != set(storages) or len(keys) != len(storages):
        raise DataError("the storages that it lists are not those of its tensors")
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(file.read(8), "little")
        start = file.tell()
        storage.raw = numbers[start : start + storage.size]
        file.seek(start + storage.size)
        if count != storage.count or len(storage.raw) != storage.size:
            raise DataError(
                f"its storage {shown(key)} is cut short or has another size than announced"
            )
    return value


def _unwrapped(value):
    """Return the dict of tensors: the value, or what a training script put around it."""
    for _ in range(MAX_DEPTH):
        if not isinstance(value, dict):
            break
        if any(isinstance(item, _Tensor) for item in value.values()):
            return value
        inner = [key for key in WRAPPERS if isinstance(value.get(key), dict)]
        if not inner:
            break
        value = value[inner[0]]
    what = "it holds no dict of tensors"
    if isinstance(value, _Inert):
        what = f"it holds an object, {shown(value.name)}, which is not made; save its state_dict()"
    raise DataError(
        f"{what}; expected the state dict of a network, "
        f"or a checkpoint with one under {', '.join(WRAPPERS)}"
    )


def _tensors(state, size):
    """Return the tensors of a state dict by name, as arrays."""
    found = {}
    for key, item in state.items():
        if isinstance(item, _Inert) and item.name.startswith(("torch._utils.", "torch._tensor.")):
            raise DataError(f"its tensor {shown(key)} is of a kind that is not read, {item.name}")
        if isinstance(key, str) and isinstance(item, _Tensor):
            found[key] = item
    whole = sum(tensor.size for tensor in found.values())
    if whole > 2 * size + SPARE:
        raise DataError(f"its tensors share numbers and would take {whole} bytes, {size} are there")
    return {key: tensor.array() for key, tensor in found.items()}


def read_torch(path: str | os.PathLike, data: bytes | None = None) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict by name.

    `data` is the content of the file, where it has been read already.

    Raises
    ------
    InputError
        If there is no such file.
    DataError
        If it is no state dict, is damaged, or names what would run code.
    """
    if data is None:
        data = read_bytes(path)
    try:
        value = _read_zip(data) if data[:2] == b"PK" else _read_legacy(data)
        tensors = _tensors(_unwrapped(value), len(data))
    except _QuantizedError as error:
        raise DataError(
            f"{path} cannot be read as PyTorch weights: {error}; take the file "
            f"with floats, {_float_file(path)}"
        ) from None
    except DataError as error:
        raise DataError(f"{path} cannot be read as PyTorch weights: {error}") from None
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{path} is cut short or damaged: {shown_text(str(error))}; fetch it again"
        ) from None
    # What Python's reader of zips raises of damaged ones.
    except (OSError, RuntimeError, EOFError, ValueError, OverflowError, struct.error) as error:
        raise DataError(
            f"{path} is damaged or no file of PyTorch's: {shown_text(str(error))}; fetch it again"
        ) from None
    return tensors


def _float_file(path):
    """Return what the file with the floats of a quantised network is called."""
    path = pathlib.Path(path)
    stem = _FLOAT_FILES.get(path.stem) or path.stem.removesuffix("_q")
    return f"{stem}{path.suffix}" if stem != path.stem else "as it was before quantisation"


def read_torch_values(path: str | os.PathLike) -> dict[str, typing.Any]:
    """Return the dict that a file of `torch.save` holds: tensors, arrays, lists, texts, numbers.

    Tensors are returned as arrays.

    Raises
    ------
    InputError
        If there is no such file.
    DataError
        If it holds no dict, is damaged, or names anything else.
    """
    data = read_bytes(path)
    read = _read_zip if data[:2] == b"PK" else _read_legacy
    try:
        value = read(data, _ValuesUnpickler)
        if not isinstance(value, dict):
            raise DataError(f"it holds {type(value).__name__}; a dict was expected")
        return {str(key): _as_value(item) for key, item in value.items()}
    except DataError as error:
        raise DataError(f"{path} cannot be read as a file of torch.save: {error}") from None
    except Exception as error:  # a damaged zip can raise nearly anything
        text = f"{type(error).__name__}: {str(error)[:200]}"
        raise DataError(f"{path} is damaged or no file of PyTorch's ({text})") from None


def _as_value(item):
    if isinstance(item, _Tensor):
        return item.array()
    return [restored(one) for one in item] if isinstance(item, list) else restored(item)


def widened(bfloat16: np.ndarray) -> np.ndarray:
    """Return bfloat16 numbers, given as uint16, as float32: the lower half is 0."""
    return (bfloat16.astype(np.uint32) << 16).view(np.float32)
