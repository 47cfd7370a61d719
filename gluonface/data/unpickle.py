"""The allow-listed reader of pickles: of verification packs here, of others by a subclass.

A pickle names functions and has them called. For packs six names are allowed: those that lists of
bytes, numbers and NumPy arrays need. They are bound to the small stand-ins below, not to NumPy's
own functions, which trust their input.
"""

import hashlib
import io
import math
import pickle
import struct
import typing

import numpy as np

from ..errors import DataError

__all__ = ["StrictUnpickler", "describe", "dump_pair", "load_pair", "load_value"]

_TYPES = {"b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8))}


def _text(value):
    """Python 2 wrote its names as str, which arrive as bytes."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


class _DType:
    """Stands for numpy.dtype: a name such as "u1" and a byte order."""

    def __init__(self, name, *_):
        name = _text(name)
        if not isinstance(name, str) or name.lstrip("|<>=") not in _TYPES:
            raise DataError(f"it holds an array of type {str(name)[:20]!r}; u1 or b1 was expected")
        self.dtype = np.dtype(name.lstrip("|<>="))
        self.__setstate__((3, name[0]))

    def __setstate__(self, state):
        if _text(state[1]) == ">":
            self.dtype = self.dtype.newbyteorder(">")


class _NDArray:
    """Stands for numpy.ndarray, as a name only."""


class _Array:
    """Stands for an array; `value` is set when its state is read."""

    value = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        self.value = _array(raw, dtype, shape, "F" if fortran else "C").value


def _array(buffer, dtype, shape, order="C"):
    if not isinstance(dtype, _DType):
        raise DataError("it holds an array without a type")
    if isinstance(buffer, str):  # Python 2 bytes that went through protocol 0 text
        buffer = buffer.encode("latin-1")
    buffer = bytes(memoryview(buffer))
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(not isinstance(n, int) or n < 0 for n in shape) or len(shape) > 4:
        raise DataError("it holds an array with an impossible shape")
    if math.prod(shape) * dtype.dtype.itemsize != len(buffer):
        raise DataError(f"it holds an array of shape {shape} with {len(buffer)} bytes of content")
    order = "F" if _text(order) == "F" else "C"
    result = _Array()
    result.value = np.frombuffer(buffer, dtype.dtype).reshape(shape, order=order)
    return result


def _reconstruct(*_):
    return _Array()


def _scalar(dtype, raw=b""):
    if isinstance(raw, str):
        raw = raw.encode("latin-1")
    return _array(raw, dtype, ()).value[()].item()


def _encode(text, encoding="latin1", *_):
    if _text(encoding) not in ("latin1", "latin-1") or not isinstance(text, (str, bytes)):
        raise DataError(f"it asks for the text encoding {str(encoding)[:20]!r}")
    return text.encode("latin-1") if isinstance(text, str) else text


_ALLOWED = {
    ("numpy", "ndarray"): _NDArray,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
}
for _core in ("numpy.core", "numpy._core"):  # before and since NumPy 2
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _scalar
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _array


class StrictUnpickler(pickle._Unpickler):
    """Python's unpickler written in Python, with an allow-list.

    The one in C allocates its memo up to any index that a file names: one changed byte can ask for
    64 GB. Here the memo is a dict, and the two operations below can be overridden.

    A subclass sets the `allowed` names and what they stand for, the classes that may be `restored`
    by a state, and what `needs` the pickle, for messages.
    """

    dispatch: typing.ClassVar[typing.Any] = dict(pickle._Unpickler.dispatch)
    allowed = _ALLOWED
    restored = (_Array, _DType)
    needs = "verification pack"

    def find_class(self, module, name):
        """Return what stands for a name."""
        if (module, name) not in self.allowed:
            raise DataError(
                f"it asks to run {module}.{name}, which no {self.needs} needs; "
                "do not open it with another program"
            )
        return self.allowed[module, name]

    def load_build(self):
        """Set the state of a stand-in; the state of anything else must not be changed."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], self.restored):
            raise DataError(f"it asks to change a {type(self.stack[-1]).__name__}")
        self.stack[-1].__setstate__(state)

    def load_bytearray8(self):
        """Read the bytes that are there; the original first allocates the announced length."""
        (length,) = struct.unpack("<Q", self.read(8))
        data = self.read(min(length, 1 << 62))
        if len(data) < length:
            raise EOFError
        self.append(bytearray(data))

    def read_one(self):
        """Return the content of the pickle; any error becomes a DataError."""
        try:
            return self.load()
        except DataError:
            raise
        except MemoryError as error:
            raise DataError("it asks for more memory than there is; it is damaged") from error
        except Exception as error:  # a damaged pickle can raise nearly anything
            text = f"{type(error).__name__}: {str(error)[:120]}"
            raise DataError(
                f"it is no whole pickle ({text}); it was cut short or damaged: "
                "fetch or write it again"
            ) from error

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def load_pair(data):
    """Read a pickle of a pair of values of lists, bytes, numbers and NumPy arrays of integers.

    Returns
    -------
    tuple
        The two values. A value that is an array, and arrays in a list that is a value, are
        numpy.ndarray.

    Raises
    ------
    DataError
        When it names anything else (the message says what), is damaged, or is no pair.
    """
    stream = io.BytesIO(data)
    value = StrictUnpickler(stream, encoding="bytes").read_one()
    end = stream.tell()
    if data[end:] not in (b"", _sum_line(data[:end])):
        raise DataError(
            f"it is not what its checksum says, or {len(data) - end} bytes follow its end: "
            "fetch or write it again"
        )
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise DataError(f"it holds {describe(value)}; a pair (bins, issame) was expected")
    return tuple(
        [_restored(item) for item in part] if isinstance(part, (list, tuple)) else _restored(part)
        for part in value
    )


def load_value(data):
    """Read a pickle of lists, bytes, numbers and NumPy arrays of integers, in any nesting.

    Raises
    ------
    DataError
        When it names anything else, is damaged, or something follows its end.
    """
    stream = io.BytesIO(data)
    value = StrictUnpickler(stream, encoding="bytes").read_one()
    if stream.tell() != len(data):
        raise DataError(f"{len(data) - stream.tell()} bytes follow the end of its pickle")
    return _restored_deep(value)


def _restored_deep(value, depth=8):
    if isinstance(value, (list, tuple)) and depth:
        return [_restored_deep(item, depth - 1) for item in value]
    return _restored(value)


def dump_pair(bins, issame):
    """Return the pickle of (list of bytes, list of bool), protocol 4.

    Its SHA-256 follows after its end, where readers stop.
    """
    data = pickle.dumps((bins, issame), protocol=4)
    return data + _sum_line(data)


def _sum_line(data):
    return b"\nsha256 " + hashlib.sha256(data).hexdigest().encode() + b"\n"


def _restored(value):
    """Return what a stand-in stands for, anything else as it is."""
    if not isinstance(value, _Array):
        return value
    if value.value is None:
        raise DataError("it holds an array without content")
    return value.value


def describe(value):
    """Return type and, of small plain things, the value, for messages."""
    small = isinstance(value, int) and abs(value) < 1 << 64  # huge ones refuse to be printed
    text = repr(value)[:40] if small or isinstance(value, (float, str, bytes)) else ""
    return f"{type(value).__name__} {text}".strip()
