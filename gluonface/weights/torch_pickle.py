"""Read the tensors of PyTorch's files (.pth, .pt) without PyTorch.

Both containers: the zip that PyTorch writes since 1.6, and the sequence of pickles from before. The
names in the pickles are allow-listed and lead to stand-ins below; no code of the file is run.
"""

from __future__ import annotations

import io
import math
import os
import typing
import zipfile

import numpy as np

from ..data.unpickle import StrictUnpickler, restored
from ..errors import DataError
from .content import read_bytes

__all__ = ["read_torch", "read_torch_values", "widened", "without_prefixes"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
WRAPPERS = ("state_dict", "state_dict_backbone", "model", "backbone")
# Of DataParallel, torch.compile, and scripts that keep the network as an attribute.
PREFIXES = ("module.", "_orig_mod.", "backbone.", "model.")
MAX_DEPTH = 3  # of dicts around the tensors


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

    def array(self):
        """Return the numbers as a new array."""
        storage = self.storage
        row = np.frombuffer(storage.raw, storage.kind.dtype)[self.offset :]
        steps = [step * row.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(row, self.shape, steps, writeable=False)
        if storage.kind is _BFLOAT16:
            return widened(view)
        return np.array(view)


class _Dict(dict):
    """Stands for collections.OrderedDict, whose attributes (_metadata) are of no use here."""

    def __setstate__(self, state):
        """Forget the attributes."""


def _whole(values):
    return isinstance(values, tuple) and all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in values
    )


def _rebuild_tensor(storage, offset, shape, strides, *_):
    if not isinstance(storage, _Storage) or not _whole((offset,)):
        raise DataError("it holds a tensor without numbers")
    if not _whole(shape) or not _whole(strides) or len(shape) != len(strides) or len(shape) > 8:
        raise DataError("it holds a tensor with an impossible shape")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides))
    if math.prod(shape) > storage.count or (math.prod(shape) and last >= storage.count):
        raise DataError(
            f"it holds a tensor of shape {shape}, but only {storage.count} numbers for it"
        )
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor, *_):
    return tensor


class _TorchUnpickler(StrictUnpickler):
    allowed = {  # noqa: RUF012  (not to be changed)
        ("collections", "OrderedDict"): _Dict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        **{("torch", name): kind for name, kind in _TYPES.items()},
    }
    restored = (_Dict,)  # type: ignore[assignment]
    needs = "file of weights"

    def __init__(self, file, storages):
        super().__init__(file, encoding="utf-8")
        self.storages = storages

    def persistent_load(self, pid):
        """Return the storage that a persistent id describes."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            raise DataError("it refers to something that is no storage of numbers")
        _, kind, key, _, count = pid[:5]
        if not isinstance(kind, _Type) or not isinstance(key, str) or not _whole((count,)):
            raise DataError("it refers to a storage of an unknown kind")
        if len(pid) == 6 and pid[5] is not None:
            raise DataError("it holds a storage that is part of another, as PyTorch before 0.4 did")
        storage = self.storages.setdefault(key, _Storage(kind, key, count))
        if (storage.kind, storage.count) != (kind, count):
            raise DataError(f"it describes the storage {key!r} in two ways")
        return storage


class _ValuesUnpickler(_TorchUnpickler):
    """Reads NumPy's arrays as well, of which `torch.save` takes whatever a dict holds."""

    allowed = {**StrictUnpickler.allowed, **_TorchUnpickler.allowed}  # noqa: RUF012
    restored = (*StrictUnpickler.restored, *_TorchUnpickler.restored)  # type: ignore[assignment]
    needs = "file of tensors and lists"


def _read_zip(data, unpickler=_TorchUnpickler):
    """Return the unpickled content of a zip, its storages filled."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: info for info in archive.infolist()}
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
                raise DataError(f"its storage {key!r} has {found}; {storage.size} were expected")
            storage.raw = archive.read(info)
    return value


def _read_legacy(data, unpickler=_TorchUnpickler):
    """Return the unpickled content of a file from before PyTorch 1.6, its storages filled."""
    file, storages = io.BytesIO(data), {}

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
        storage.raw = file.read(storage.size)
        if count != storage.count or len(storage.raw) != storage.size:
            raise DataError(f"its storage {key!r} is cut short or has another size than announced")
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
    raise DataError(
        "it holds no dict of tensors; expected the state dict of a network, "
        f"or a checkpoint with one under {', '.join(WRAPPERS)}"
    )


def read_torch(path: str | os.PathLike, data: bytes | None = None) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict by name, without one of `PREFIXES` that all have.

    `data` is the content of the file, where it has been read already.

    Raises
    ------
    InputError
        If there is no such file.
    DataError
        If it is no state dict, is damaged, or names anything but tensors.
    """
    if data is None:
        data = read_bytes(path)
    try:
        value = _read_zip(data) if data[:2] == b"PK" else _read_legacy(data)
        tensors = {
            key: item.array()
            for key, item in _unwrapped(value).items()
            if isinstance(key, str) and isinstance(item, _Tensor)
        }
    except DataError as error:
        raise DataError(f"{path} cannot be read as PyTorch weights: {error}") from None
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is cut short or damaged: {error}; fetch it again") from None
    except (OSError, NotImplementedError, RuntimeError, EOFError) as error:
        raise DataError(f"{path} is damaged or no file of PyTorch's: {error}") from None
    return without_prefixes(tensors)


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


def without_prefixes(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors without the prefixes that a wrapper of the network gave all their names."""
    for prefix in PREFIXES * 2:  # one may be in another
        if tensors and all(key.startswith(prefix) for key in tensors):
            tensors = {key[len(prefix) :]: array for key, array in tensors.items()}
    return tensors
