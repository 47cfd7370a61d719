"""Faces in LMDB."""

import pickle

import numpy as np
import pytest
from face_forms import FACES, lmdb_entries, numbered, write_lmdb

from gluonface.data.sources import lmdb_set, open_source
from gluonface.data.sources.lmdb_set import _consecutive, _numbers
from gluonface.errors import DataError, InputError

pytest.importorskip("lmdb")
msgpack = pytest.importorskip("msgpack")
MANY = FACES * 5  # keys 0 to 24: their order is not that of the file


def labels(source):
    return [source.identity(i) for i in range(len(source))]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("folder", [False, True])
def test_messagepack(old, folder, tmp_path):
    path = write_lmdb(tmp_path / "x", lmdb_entries(MANY, old), folder)
    source = open_source(path)
    assert [source.read(i) for i in range(len(source))] == [data for _, data in MANY]
    assert labels(source) == [str(label) for label, _ in numbered(MANY)]
    assert source.name(11).endswith(": 11")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles(protocol, tmp_path):
    keys = [str(n).encode() for n in range(len(FACES))]
    entries = {
        key: pickle.dumps(([data], np.array([label])), protocol)
        for key, (label, data) in zip(keys, numbered(FACES))
    }
    entries[b"__keys__"] = pickle.dumps(keys, protocol)
    entries[b"__len__"] = pickle.dumps(len(keys), protocol)
    source = open_source(write_lmdb(tmp_path / "x", entries))
    assert [source.read(i) for i in range(len(source))] == [data for _, data in FACES]
    assert labels(source) == ["10", "2", "10", "2", "3"]


@pytest.mark.parametrize("value", [0, 127, 128, 255, 256, 65535, 65536, (1 << 32) - 1, 1 << 40, -1])
def test_labels_of_any_size(value, tmp_path):
    entries = {b"a": msgpack.packb([b"image", value]), b"b": msgpack.packb([b"image" * 99, 7])}
    entries[b"__keys__"] = msgpack.packb([b"b", b"a"])
    source = open_source(write_lmdb(tmp_path / "x", entries))
    assert labels(source) == (["7", str(value)] if value >= 0 else ["7"])
    assert len(source.ignored()) == (value < 0)


@pytest.mark.parametrize(
    ("count", "raw"), [(16, False), (1234, False), (1234, True), (70000, False)]
)
def test_consecutive_keys_at_once(count, raw):
    keys = [str(n).encode() for n in range(count)]
    packed = msgpack.packb(keys, use_bin_type=not raw)
    assert _consecutive(packed) == count
    assert _consecutive(packed[:-1]) is None
    keys[count // 2] = b"x" * len(keys[count // 2])
    assert _consecutive(msgpack.packb(keys, use_bin_type=not raw)) is None


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({b"__keys__": None}, InputError, "without __keys__ but __len__; its first keys are 0, 1"),
        ({b"__len__": msgpack.packb(4)}, DataError, "__len__ is 4, __keys__ has 5 keys"),
        ({b"__len__": msgpack.packb(b"x")}, DataError, "__len__ is no whole number"),
        ({b"__keys__": msgpack.packb([b"0", b"9"]), b"__len__": None}, DataError, "as '9'"),
        ({b"__keys__": msgpack.packb([b"0", b"0"]), b"__len__": None}, DataError, "a key twice"),
        ({b"__keys__": msgpack.packb([])}, DataError, "__keys__ has 0 keys"),
        ({b"__keys__": msgpack.packb([]), b"__len__": None}, InputError, "without images"),
        ({b"__keys__": msgpack.packb(7)}, DataError, "no list of keys"),
        (
            {b"3": b"pyarrow"},
            DataError,
            "key '3' is neither MessagePack nor a pickle.*dumps_pyarrow",
        ),
        ({b"3": msgpack.packb([b"x"])}, DataError, "key '3' is no pair"),
        ({b"3": msgpack.packb([b"x", b"y"])}, DataError, "key '3' is no pair"),
        ({b"3": pickle.dumps(print)}, DataError, "asks to run builtins"),
    ],
)
def test_what_is_refused(change, error, message, tmp_path):
    entries = {k: v for k, v in {**lmdb_entries(), **change}.items() if v is not None}
    with pytest.raises(error, match=message) as raised:
        open_source(write_lmdb(tmp_path / "x.lmdb", entries))
    assert "x.lmdb" in str(raised.value)


def test_keys_as_numbers():
    keys = np.array([b"0", b"00", b"007", b"10", b"12345678901", b"2147483648", b"9", b"x", b"7x"])
    wanted = [0, -1, -1, 10, -1, -1, 9, -1, -1]
    assert _numbers(keys).tolist() == wanted
    assert _numbers(np.array([b"0", b"5", b"a"])).tolist() == [0, 5, -1]


def test_several_databases_are_several_sets(tmp_path):
    paths = [write_lmdb(tmp_path / name, lmdb_entries()) for name in "ab"]
    with pytest.raises(InputError, match="data merge"):
        open_source(paths)
    assert lmdb_set.LmdbSet(paths[0]).num_identities == 3
