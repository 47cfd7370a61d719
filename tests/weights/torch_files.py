"""Files such as PyTorch writes, without PyTorch."""

import contextlib
import io
import pickle
import sys
import types
import unittest.mock
import zipfile

import numpy as np

STORAGES = {"f4": "FloatStorage", "f2": "HalfStorage", "f8": "DoubleStorage", "i8": "LongStorage"}


class Written:
    """A tensor to be written: a view of an array."""

    def __init__(self, array, offset=0, shape=None, strides=None):
        self.array = np.array(array, order="C")
        self.offset = offset
        self.shape = self.array.shape if shape is None else shape
        self.strides = tuple(s // array.itemsize for s in array.strides)
        if strides is not None:
            self.strides = strides

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (Storage(self.array), self.offset, self.shape, self.strides, False, {})


class Storage:
    def __init__(self, array):
        self.array = array


class Pickler(pickle.Pickler):
    def __init__(self, file, keep, legacy=False, protocol=2):
        super().__init__(file, protocol=protocol)
        self.keep, self.legacy = keep, legacy

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        key = str(len(self.keep))
        self.keep[key] = value.array
        kind = getattr(sys.modules["torch"], STORAGES[value.array.dtype.str[1:]])
        row = ("storage", kind, key, "cuda:0", value.array.size)
        return (*row, None) if self.legacy else row


@contextlib.contextmanager
def stand_in():
    """Put names for the pickles in place; the reader must work without them."""
    module, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(module, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        """Stand for PyTorch's."""

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    with unittest.mock.patch.dict(sys.modules, {"torch": module, "torch._utils": utils}):
        yield


def write_zip(path, value, change=None):
    buffer, keep = io.BytesIO(), {}
    Pickler(buffer, keep).dump(value)
    members = {"data.pkl": buffer.getvalue(), "byteorder": b"little", "version": b"3\n"}
    members.update({f"data/{key}": array.tobytes() for key, array in keep.items()})
    members.update(change or {})
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(f"top/{name}", data)
    return path


def write_legacy(path, value):
    file, keep = io.BytesIO(), {}
    for head in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(head, file, protocol=2)
    Pickler(file, keep, legacy=True).dump(value)
    pickle.dump(sorted(keep), file, protocol=2)
    for key in sorted(keep):
        file.write(keep[key].size.to_bytes(8, "little") + keep[key].tobytes())
    path.write_bytes(file.getvalue())
    return path


ARRAYS = {
    "a.weight": np.arange(24, dtype="f4").reshape(2, 3, 4),
    "a.half": np.array([0.5, -2, 1e-3], "f2"),
    "count": np.array(7, "i8"),
    "b": np.arange(3, dtype="f8"),
}


def checkpoint(content):
    """Return what arcface_torch saves of a training run, beside the backbone."""
    momentum = {"momentum_buffer": Written(np.ones(3, "f4"))}
    group = {"lr": 0.1, "momentum": 0.9, "nesterov": False, "maximize": None, "params": [0, 1]}
    return {
        "epoch": 3,
        "global_step": 1000,
        "state_dict_backbone": {"module." + key: item for key, item in content.items()},
        "state_dict_softmax_fc": {"weight": Written(np.ones((2, 3), "f4"))},
        "state_optimizer": {"state": {0: momentum}, "param_groups": [group]},
        "state_lr_scheduler": {"base_lrs": [0.1], "last_epoch": 3, "_last_lr": (0.05,)},
    }
