import hashlib
import io
import logging
import os
import pickle

import numpy as np
import pytest

from gluonface.data import VerificationPack, images, unpickle
from gluonface.errors import DataError, GluonfaceError, InputError

VARIANTS = (
    "py2_str",
    "py2_str_proto0",
    "py2_ndarray",
    "py3_bytes",
    "py3_bytes_proto2",
    "py3_bytes_npsame",
    "py3_ndarray",
)


def pictures(count, side):
    random = np.random.Generator(np.random.PCG64(0))
    return random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def encoded(count=8, side=112):
    return [images.encode(pixel, 101) for pixel in pictures(count, side)]


def dump(path, value, protocol=4):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_met_in_the_wild(shared, variant):
    folder = shared / "reference" / "eval"
    pack = VerificationPack.load(folder / f"bin_{variant}.bin")
    expected = np.load(folder / "bin_expected.npz", allow_pickle=False)
    assert (len(pack), pack.name) == (4, f"bin_{variant}")
    np.testing.assert_array_equal(pack.issame, expected["issame"])
    got = np.concatenate(list(pack.iter_batches(3))).transpose(0, 3, 1, 2).astype(int)
    difference = np.abs(got - expected["view"]).max(axis=(1, 2, 3))
    # image 3 is a JPEG (decoders round differently), image 5 is resized from 128 pixels
    assert (difference <= [0, 0, 0, 2, 0, 2, 0, 0]).all()


def test_real_packs(shared, caplog):
    pack = VerificationPack.load(shared / "data" / "att" / "att_test.bin")
    assert (len(pack), int(pack.issame.sum())) == (400, 200)
    assert pack.images(7).shape == (2, 112, 112, 3)
    assert caplog.text == ""
    small = VerificationPack.load(shared / "data" / "lfw_small.bin")
    assert (len(small), bool(small.issame.all())) == (10, True)
    assert "all 10 pairs are of the same person" in caplog.text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ["bytes", "array", "column"])
@pytest.mark.parametrize("flags", ["bool", "npbool", "int", "array"])
def test_every_protocol_and_type(tmp_path, protocol, kind, flags):
    data = encoded(8, side=8)
    issame = np.array([True, False, False, True])
    bins = {
        "bytes": data,
        "array": [np.frombuffer(item, np.uint8) for item in data],
        "column": [np.frombuffer(item, np.uint8).copy()[:, None] for item in data],
    }[kind]
    same = {
        "bool": issame.tolist(),
        "npbool": list(issame),
        "int": [int(value) for value in issame],
        "array": issame,
    }[flags]
    pack = VerificationPack.load(dump(tmp_path / "a.bin", (bins, same), protocol))
    assert pack.bins == data
    assert pack.issame.dtype == bool
    np.testing.assert_array_equal(pack.issame, issame)


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


def test_save_and_load(tmp_path):
    pixels, issame = pictures(8, 112), [True, False, True, False]
    pack = VerificationPack([images.encode(pixel, 101) for pixel in pixels], issame, name="own")
    assert pack.sha256 is None
    path = tmp_path / "own.bin"
    pack.save(path)
    value = pickle.loads(path.read_bytes())  # plain types, as spec 1.1 wants them
    assert [type(part) for part in value] == [list, list]
    assert {type(item) for item in value[0]} == {bytes}
    assert {type(item) for item in value[1]} == {bool}
    assert path.read_bytes()[:2] == b"\x80\x04"
    again = VerificationPack.load(path)
    assert again.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert again.name == "own"
    np.testing.assert_array_equal(again.issame, issame)
    for i in range(4):
        np.testing.assert_array_equal(again.images(i), pixels[2 * i : 2 * i + 2])
    batches = list(again.iter_batches(3))
    assert [len(batch) for batch in batches] == [3, 3, 2]
    np.testing.assert_array_equal(np.concatenate(batches), pixels)
    with pytest.raises(InputError, match="images 0 to 7, not 8"):
        again.image(8)
    with pytest.raises(InputError, match="pairs 0 to 3, not -1"):
        again.images(-1)
    with pytest.raises(InputError, match="batch_size 0"):
        next(again.iter_batches(0))


def test_other_sizes_are_resized_then_cut():
    smooth = np.zeros((128, 160, 3), np.uint8)
    smooth[..., 0] = np.arange(160)[None]  # red grows to the right
    smooth[..., 1] = np.arange(128)[:, None]
    data = images.encode(smooth, 101)
    image = VerificationPack([data, data], [True]).image(0).astype(float)
    assert image.shape == (112, 112, 3)
    # 160 x 128 becomes 140 x 112, of which columns 14 to 125 stay
    columns = (np.arange(112) + 14 + 0.5) * 160 / 140 - 0.5
    rows = (np.arange(112) + 0.5) * 128 / 112 - 0.5
    assert np.abs(image[..., 0] - columns[None]).max() <= 1  # rounding
    assert np.abs(image[..., 1] - rows[:, None]).max() <= 1
    tall = images.encode(smooth.transpose(1, 0, 2), 101)
    turned = VerificationPack([tall, tall], [True]).image(0)
    assert np.abs(turned.transpose(1, 0, 2) - image).max() <= 1
    small = VerificationPack([data, data], [True], size=64)
    assert small.images(0).shape == (2, 64, 64, 3)


# --- packs that are refused


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


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([b"a", b"b"], "bins are bytes"),
        ([b"a", b"b", b"c"], "holds list; a pair"),
        (7, "holds int 7"),
        pytest.param(10**6000, "holds int", id="huge"),
        (({}, [True]), "bins are dict"),
        (([b"a"] * 3, [True]), r"3 images and 1 pair labels.*2 were expected"),
        (([b"a"] * 2, []), "2 images and 0 pair labels"),
        (([], []), "has no pairs"),
        (([b"a", 5], [True]), "element 1 is int 5"),
        (([b"a", None], [True]), "element 1 is NoneType"),
        (([b"a", b"b"], ["yes"]), "issame.0. is str"),
        (([b"a", b"b"], [2]), "issame.0. is int 2"),
        (([b"a", b"b"], True), "issame is bool"),
    ],
)
def test_content_that_is_no_pack(tmp_path, value, message):
    with pytest.raises(DataError, match=message):
        VerificationPack.load(dump(tmp_path / "a.bin", value))


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


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.bin cannot be read \(No such file"):
        VerificationPack.load(tmp_path / "none.bin")


def test_broken_image_is_named(tmp_path):
    data = encoded(4, side=8)
    data[2] = images.encode(pictures(1, 16)[0], 95)[:-30]
    pack = VerificationPack.load(dump(tmp_path / "lfw.bin", (data, [True, False])))
    with pytest.raises(DataError, match=r"lfw: image 2 \(pair 1\) .*JPEG that ends early"):
        list(pack.iter_batches())


def test_one_kind_of_pairs_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        VerificationPack(encoded(4, side=8), [False, False], name="odd")
    assert "odd: all 2 pairs are of different people" in caplog.text


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


def test_a_checksum_stands_where_other_readers_stop(tmp_path):
    shades = (np.full((16, 16, 3), 50 * n, np.uint8) for n in range(4))
    bins = [images.encode(shade, 101) for shade in shades]
    VerificationPack(bins, [True, False]).save(tmp_path / "x.bin")
    with open(tmp_path / "x.bin", "rb") as file:
        found, issame = pickle.load(file)  # as InsightFace's programs read it
    assert (found, issame) == (bins, [True, False])
    data = (tmp_path / "x.bin").read_bytes()
    at = data.index(bins[1])
    for changed in (
        data[: at + 9] + bytes([data[at + 9] ^ 1]) + data[at + 10 :],
        data + b"\n",
        data[:-9],
    ):
        (tmp_path / "y.bin").write_bytes(changed)
        with pytest.raises(DataError, match=r"y\.bin .*not what its checksum says"):
            VerificationPack.load(tmp_path / "y.bin")
    (tmp_path / "y.bin").write_bytes(data[: data.rindex(b"\nsha256")])  # as others write it
    assert len(VerificationPack.load(tmp_path / "y.bin")) == 2
