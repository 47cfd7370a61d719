import bz2
import gzip
import hashlib
import logging
import lzma
import pickle
import tracemalloc

import numpy as np
import pytest
from pack_files import dump, encoded, pictures

from gluonface.data import VerificationPack, images, unpickle
from gluonface.errors import DataError, InputError

VARIANTS = (
    "py2_str",
    "py2_str_proto0",
    "py2_ndarray",
    "py3_bytes",
    "py3_bytes_proto2",
    "py3_bytes_npsame",
    "py3_ndarray",
)


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


# --- packs of other toolkits: compressed, arrays, floats


@pytest.mark.parametrize("compress", [lzma.compress, gzip.compress, bz2.compress])
def test_compressed_packs_are_read_under_any_name(tmp_path, compress):
    data = encoded(4, side=8)
    whole = pickle.dumps((data, [1.0, 0.0]), 4)
    for stored in (compress(whole), compress(whole[:77]) + compress(whole[77:])):
        path = tmp_path / "hadrian.bin"
        path.write_bytes(stored)
        pack = VerificationPack.load(path)
        assert (pack.bins, pack.issame.tolist()) == (data, [True, False])
        assert pack.sha256 == hashlib.sha256(stored).hexdigest()
        for cut in (10, len(stored) // 2, len(stored) - 3):
            path.write_bytes(stored[:cut])
            with pytest.raises(DataError, match="is refused"):
                VerificationPack.load(path)


@pytest.mark.parametrize("compress", [lzma.compress, gzip.compress, bz2.compress])
def test_what_unpacks_to_no_pack_is_said_and_takes_no_memory(tmp_path, compress):
    path = tmp_path / "x.bin"
    path.write_bytes(compress(bytes(40 << 20)))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"compressed \(.*is no pack"):
        VerificationPack.load(path)
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    path.write_bytes(compress(b"hello"))
    with pytest.raises(DataError, match="it starts with b'hello'"):
        VerificationPack.load(path)
    path.write_bytes(compress(b""))
    with pytest.raises(DataError, match="it starts with b''"):
        VerificationPack.load(path)


def test_bombs_are_refused(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(
        gzip.compress(b"\x80\x04B" + (90 << 20).to_bytes(4, "little") + bytes(90 << 20))
    )
    with pytest.raises(DataError, match="unpacks to more than"):
        VerificationPack.load(path)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "bins",
    [
        lambda data: np.array(data, object),
        lambda data: np.array([np.frombuffer(one, np.uint8) for one in data], object),
        lambda data: np.array(data),
        tuple,
    ],
    ids=["objects", "arrays", "fixed", "tuple"],
)
@pytest.mark.parametrize(
    "issame",
    [
        [1.0, 0.0],
        np.array([1.0, 0.0]),
        np.array([1, 0], np.int32),
        np.array([True, False]),
        np.array([True, False], object),
        (np.float32(1), np.float32(0)),
    ],
    ids=["floats", "float array", "ints", "bools", "objects", "scalars"],
)
def test_bins_and_labels_of_other_toolkits(tmp_path, protocol, bins, issame):
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (9, 8 + n, 3)).astype(np.uint8) for n in range(4)]
    data = [images.encode(picture, 95) for picture in pictures]  # of four lengths
    value = bins(data)
    pack = VerificationPack.load(dump(tmp_path / "a.bin", (value, issame), protocol))
    assert pack.bins == data
    assert pack.issame.tolist() == [True, False]


@pytest.mark.parametrize(
    ("label", "shown"),
    [(0.5, "0.5"), (float("nan"), "nan"), (2, "int 2"), (-1, "int -1"), ("1", "str '1'")],
)
def test_labels_that_are_none_are_shown(tmp_path, label, shown):
    with pytest.raises(DataError, match=rf"issame\[1\] is {shown}"):
        VerificationPack.load(dump(tmp_path / "a.bin", (encoded(4, side=8), [True, label])))


def test_folds_and_groups_are_kept(tmp_path):
    data = encoded(6, side=8)
    pack = VerificationPack(data, [True, False, True], folds=[2, 7, 2], groups=["b", "a | ü", "b"])
    pack.save(tmp_path / "x.bin")
    again = VerificationPack.load(tmp_path / "x.bin")
    assert (again.folds.tolist(), again.groups) == ([2, 7, 2], ["b", "a | ü", "b"])
    with open(tmp_path / "x.bin", "rb") as file:
        assert pickle.load(file) == (data, [True, False, True])
    for facts in ({"folds": [1]}, {"groups": {"names": ["a"], "of": [0, 1, 0]}}, {"folds": "x"}):
        (tmp_path / "x.bin").write_bytes(unpickle.dump_pair(data, [True] * 3, facts))
        with pytest.raises(DataError):
            VerificationPack.load(tmp_path / "x.bin")
