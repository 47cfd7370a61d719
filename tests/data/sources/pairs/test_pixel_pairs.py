"""Decoded pixels."""

import json

import numpy as np
import pytest

from gluonface.data import images, open_pairs
from gluonface.errors import DataError, InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 3, 20, 20)).astype(np.uint8)
SAME = [True, False, True]


def decoded(pairs):
    return np.stack([images.decode(one) for i in range(3) for one in pairs.images(i)])


def write_npy(folder, pixels=PIXELS, labels="1\n0\n1\n"):
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{folder.name}.npy", pixels)
    (folder / "issame.txt").write_text(labels)
    return folder


@pytest.mark.parametrize("labels", ["1\n0\n1\n", "True\r\nFalse\r\nTrue", "1\n0\n1"])
def test_an_array_is_rgb(tmp_path, labels):
    folder = write_npy(tmp_path / "toy", labels=labels)
    for path in (folder, folder / "toy.npy"):
        pairs = open_pairs(path)
        np.testing.assert_array_equal(decoded(pairs), PIXELS.transpose(0, 2, 3, 1))
        assert pairs.issame.tolist() == SAME
        assert pairs.name == "toy"
    np.testing.assert_array_equal(
        decoded(open_pairs(folder, color="bgr")), PIXELS[:, ::-1].transpose(0, 2, 3, 1)
    )
    write_npy(folder, PIXELS.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(decoded(open_pairs(folder)), PIXELS.transpose(0, 2, 3, 1))


def write_memfile(folder, pixels=PIXELS, dtype="float32"):
    place = folder / "memfile"
    place.mkdir(parents=True, exist_ok=True)
    values = ((pixels / 255 - 0.5) / 0.5).astype(np.float32) if dtype == "float32" else pixels
    (place / "mem_file.dat").write_bytes(values.tobytes())
    (place / "mem_file.dat.conf").write_text(json.dumps({"shape": pixels.shape, "dtype": dtype}))
    np.save(folder.parent / f"{folder.name}_list.npy", np.array(SAME))
    return folder


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_memory_map_does_not_tell_its_colours(tmp_path, dtype):
    folder = write_memfile(tmp_path / "lfw", dtype=dtype)
    with pytest.raises(InputError, match=r"color RGB .*color BGR.*--color"):
        open_pairs(folder)
    with pytest.raises(InputError, match="color is 'blue'"):
        open_pairs(folder, color="blue")
    for color, step in (("RGB", 1), ("BGR", -1)):
        pairs = open_pairs(folder, color=color)
        wanted = PIXELS[:, ::step].transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(decoded(pairs), wanted)
        assert pairs.issame.tolist() == SAME


def test_arrays_that_do_not_fit(tmp_path):
    for pixels, labels, message in (
        (PIXELS[:5], "1\n0\n1\n", "5 images and .* 3 labels"),
        (PIXELS, "1\n2\n1\n", "line 2 is '2'"),
        (PIXELS, "1\n-1\n1\n", "line 2 is '-1'"),
        (PIXELS.astype(np.float32), "1\n0\n1\n", "float32; uint8"),
        (PIXELS[:, 0], "1\n0\n1\n", r"shape \(6, 20, 20\)"),
    ):
        with pytest.raises(DataError, match=message):
            open_pairs(write_npy(tmp_path / "toy", pixels, labels))
    write_npy(tmp_path / "toy")
    (tmp_path / "toy/toy.npy").rename(tmp_path / "toy/a.npy")
    assert len(open_pairs(tmp_path / "toy")) == 3
    np.save(tmp_path / "toy/b.npy", PIXELS)
    with pytest.raises(InputError, match=r"2 files \*\.npy, not one"):
        open_pairs(tmp_path / "toy")


def test_memory_maps_that_do_not_fit(tmp_path):
    folder = write_memfile(tmp_path / "lfw")
    conf = folder / "memfile/mem_file.dat.conf"
    for text, message in (
        ('{"shape": [7, 3, 20, 20], "dtype": "float32"}', r"28800 bytes; .* says 33600"),
        ('{"shape": [6, 3, 20, 20], "dtype": "object"}', "says object"),
        ('{"shape": "x", "dtype": "float32"}', "is not"),
        ("[]", "is not"),
        ("", "is not"),
    ):
        conf.write_text(text)
        with pytest.raises(DataError, match=message):
            open_pairs(folder, color="RGB")
    write_memfile(folder)
    (tmp_path / "lfw_list.npy").unlink()
    with pytest.raises(DataError, match=r"lfw_list\.npy is not there"):
        open_pairs(folder, color="RGB")
    write_memfile(folder)
    data = np.full(PIXELS.shape, 2, np.float32)
    (folder / "memfile/mem_file.dat").write_bytes(data.tobytes())
    with pytest.raises(DataError, match=r"image 0 has values beyond"):
        open_pairs(folder, color="RGB").images(0)
