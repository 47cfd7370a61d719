"""The allow-listed unpickler: what it reads, and what it refuses."""

import io
import os
import pickle

import numpy as np
import pytest
from pack_files import dump, encoded

from gluonface.data import VerificationPack, unpickle
from gluonface.errors import DataError, GluonfaceError


def test_numpy_2_names(tmp_path):
    """NumPy 2 writes numpy._core where NumPy 1 wrote numpy.core."""
    data = encoded(2, side=8)
    value = ([np.frombuffer(item, np.uint8) for item in data], [np.True_])
    text = pickle.dumps(value, protocol=2).replace(b"cnumpy.core.", b"cnumpy._core.")
    assert b"numpy._core" in text
    path = tmp_path / "a.bin"
    path.write_bytes(text)
    pack = VerificationPack.load(path)
    assert (pack.bins, pack.issame.tolist()) == (data, [True])


class Runs:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch {}",), f"{os.system.__module__}.system"),
        (eval, ("open('{}', 'w')",), "(builtins|__builtin__).eval"),
        (getattr, ("a", "b"), "(builtins|__builtin__).getattr"),
        (np.load, ("{}",), "numpy.load"),
        (np.fromfile, ("{}",), "numpy.core.multiarray.fromfile|numpy.fromfile"),
    ],
)
def test_code_is_not_run_and_named(tmp_path, protocol, function, arguments, name):
    mark = tmp_path / "mark"
    arguments = [argument.format(mark) for argument in arguments]
    path = dump(tmp_path / "evil.bin", ([Runs(function, *arguments)] * 2, [True]), protocol)
    with pytest.raises(DataError, match=rf"evil\.bin .* refused: it asks to run ({name}),"):
        VerificationPack.load(path)
    assert not mark.exists()


def test_numpys_own_restoring_is_not_reached(tmp_path):
    """An array of Python objects could carry anything; other types are not images."""
    for value, reason in (
        (np.array([b"x"], object), "array of type 'O8'"),
        (np.zeros(3, np.float32), "array of type 'f4'"),
        (np.zeros(3, [("a", "u1")]), "array of type"),
    ):
        for protocol in (2, 4, 5):
            path = dump(tmp_path / "a.bin", ([value, value], [True]), protocol)
            with pytest.raises(DataError, match=reason):
                VerificationPack.load(path)


def test_truncated_at_every_place(tmp_path):
    whole = pickle.dumps((encoded(4, side=8), [True, False]), protocol=4)
    path = tmp_path / "cut.bin"
    for length in range(len(whole)):
        with pytest.raises(DataError, match="cut short"):
            unpickle.load_pair(whole[:length])
    path.write_bytes(whole[:99])
    with pytest.raises(DataError, match=r"cut\.bin \(99 bytes\) is refused: .*cut short"):
        VerificationPack.load(path)


def test_greedy_pickles(tmp_path):
    """Places and lengths far beyond the file take no memory; what is there counts."""
    path = tmp_path / "a.bin"
    # an empty list into place 4294967295 of the memo, for which the C reader takes 64 GB
    path.write_bytes(b"\x80\x02]r\xff\xff\xff\xff]q\x01\x86.")
    with pytest.raises(DataError, match="has no pairs"):
        VerificationPack.load(path)
    for operation in (b"\x8e", b"\x96"):  # bytes and bytearray of 16 GB
        path.write_bytes(b"\x80\x05" + operation + (1 << 34).to_bytes(8, "little") + b"abc.")
        with pytest.raises(DataError, match="cut short or damaged"):
            VerificationPack.load(path)


def test_stand_ins_cannot_be_changed(tmp_path):
    """A pickle may set attributes of what it names; a later pack must not suffer from it."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"\x80\x02c_codecs\nencode\nN}X\x01\x00\x00\x00aK\x01s\x86b.")
    with pytest.raises(DataError, match="it asks to change a function"):
        VerificationPack.load(path)


def test_mutated_packs_raise_only_our_errors():
    random = np.random.Generator(np.random.PCG64(2))
    data = encoded(4, side=8)
    arrays = [np.frombuffer(item, np.uint8) for item in data]
    sources = [
        pickle.dumps(value, protocol)
        for protocol in (0, 2, 4, 5)
        for value in ((data, [True, False]), (arrays, [np.True_, np.False_]))
    ]
    refused = 0
    for round_ in range(1000):
        raw = bytearray(sources[round_ % len(sources)])
        # near the frame of the pickle, where a change matters most, or anywhere
        reach = len(raw) if round_ % 2 else 60
        for _ in range(int(random.integers(1, 4))):
            raw[int(random.integers(reach)) - (reach < len(raw) and round_ % 4 == 0) * reach] = int(
                random.integers(256)
            )
        try:
            pack = VerificationPack(*unpickle.load_pair(bytes(raw)))
            assert len(np.concatenate(list(pack.iter_batches(2)))) == 2 * len(pack)
        except GluonfaceError:
            refused += 1
    assert refused > 500


def test_unpickler_imports_nothing(monkeypatch):
    """Names are looked up in a table; nothing is imported on the way."""

    def no_import(*_):
        raise AssertionError("an import")

    data = pickle.dumps(([np.zeros(3, np.uint8)], [np.True_]), 2)
    evil = pickle.dumps(Runs(io.StringIO, "x"), 2)
    monkeypatch.setattr("builtins.__import__", no_import)
    bins, issame = unpickle.load_pair(data)
    assert (bins[0].tolist(), issame) == ([0, 0, 0], [True])
    with pytest.raises(DataError, match="StringIO"):
        unpickle.load_pair(evil)


def test_values_of_any_nesting():
    value = ([b"image"], np.array([7]), (1, [np.arange(3, dtype=np.uint8)]))
    for protocol in (2, 3, 4, 5):
        images, label, (one, (array,)) = unpickle.load_value(pickle.dumps(value, protocol))
        assert (images, label.tolist(), one, array.tolist()) == ([b"image"], [7], 1, [0, 1, 2])
    with pytest.raises(DataError, match="bytes follow the end"):
        unpickle.load_value(pickle.dumps(1) + b"x")
