import hashlib

import numpy as np
import pytest
from evaluation_cases import made_probes

from gluonface.errors import DataError, InputError
from gluonface.evaluation.files import feature_files
from gluonface.evaluation.protocols import megaface

HEADER = (4).to_bytes(4, "little") + (1).to_bytes(4, "little") + (4).to_bytes(4, "little")


def test_stored_features(tmp_path):
    e = np.arange(12.0).reshape(4, 3)
    np.savez(tmp_path / "a.npz", embedding=e, path=["w", "x", "y", "z"], label=[1, 2, 3, 4])
    held = feature_files.load_features(tmp_path / "a.npz")
    assert held.arrays["label"].tolist() == [1, 2, 3, 4]
    assert held.in_order_of(["z", "x"], "list").e.tolist() == e[[3, 1]].tolist()
    with pytest.raises(
        InputError, match="has no feature of q and 0 others of the 2 images of list"
    ):
        held.in_order_of(["z", "q"], "list")
    np.save(tmp_path / "b.npy", e)
    bare = feature_files.load_features(tmp_path / "b.npy")
    assert bare.in_order_of(list("abcd"), "list").e.tolist() == e.tolist()
    with pytest.raises(InputError, match="holds 4 features and list 3 images"):
        bare.in_order_of(list("abc"), "list")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.ones((2, 2))}, "holds x; expected an array e or embedding"),
        ({"e": np.ones(4)}, "features have shape"),
        ({"e": np.array([[1.0, 2], [np.nan, 1]])}, "e row 1 is not finite"),
        ({"e": np.ones((2, 2)), "f": np.ones((3, 2))}, "3 features for 2 entries"),
        ({"e": np.ones((2, 2)), "path": np.array(["a"])}, "path has shape"),
        ({"e": np.array([{}], object)}, "cannot be read as plain arrays"),
    ],
)
def test_wrong_stored_features_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=said):
        feature_files.load_features(tmp_path / "a.npz")


def test_files_that_are_no_features(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match="cannot be read"):
        feature_files.load_features(tmp_path / "a.npz")
    with pytest.raises(InputError, match="there is no file"):
        feature_files.load_features(tmp_path / "b.npy")
    (tmp_path / "c.txt").write_bytes(b"")
    with pytest.raises(InputError, match=r"expected features in a \.npy or \.npz"):
        feature_files.load_features(tmp_path / "c.txt")


def test_feature_files(shared, tmp_path):
    folder = shared / "reference/eval"
    assert len(feature_files.read_bin(folder / "sample_feature_512.bin")) == 512
    noise = feature_files.read_bin(folder / "sample_feature_513_noise.bin")
    assert len(noise) == 513
    assert noise[-1] == 100
    feature_files.write_bin(tmp_path / "x.bin", noise)
    written, original = tmp_path / "x.bin", folder / "sample_feature_513_noise.bin"
    assert written.read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "has 0 bytes; a feature file begins with 16"),
        (HEADER + (5).to_bytes(4, "little") + b"\0" * 15, "has 31 bytes; 32 were expected"),
        (HEADER + (5).to_bytes(4, "little") + b"\0" * 17, "has 33 bytes; 32"),
        (HEADER + (6).to_bytes(4, "little") + b"\0" * 16, "element size 4, type 6; expected D x 1"),
        (b"\0" * 32, "the header says 0 x 0"),
        (
            HEADER + (5).to_bytes(4, "little") + b"\0" * 12 + b"\0\0\xc0\x7f",
            "value 3 is not finite",
        ),
    ],
)
def test_a_broken_feature_file_is_named(tmp_path, data, said):
    (tmp_path / "x.bin").write_bytes(data)
    with pytest.raises(DataError, match=f"x.bin.*{said}"):
        feature_files.read_bin(tmp_path / "x.bin")


def test_a_folder_of_feature_files(tmp_path):
    p, person, d = made_probes(0)
    for number, row in enumerate(d):
        feature_files.write_bin(tmp_path / f"d{number}.jpg_x.bin", row)
    names = [f"d{number}.jpg" for number in range(len(d))]
    source = feature_files.BinFolder(tmp_path, names, "_x.bin")
    known = megaface.evaluate(p, person, d.astype(np.float32), fars=(0.01,))
    assert megaface.evaluate(p, person, source, fars=(0.01,)).ranks == known.ranks
    digest = hashlib.sha256(d.astype("<f4").tobytes()).hexdigest()
    assert source._hashed == len(d), "hashed while it was compared"
    assert source.sha256 == digest
    other = feature_files.BinFolder(tmp_path, names, "_x.bin")
    assert len(other[5:9]) == 4
    assert other.sha256 == digest
    feature_files.write_bin(tmp_path / "d9.jpg_x.bin", np.ones(5))
    with pytest.raises(DataError, match=r"d9.jpg_x.bin holds 5 values; the others hold 6"):
        megaface.evaluate(p, person, source)
    (tmp_path / "d9.jpg_x.bin").unlink()
    with pytest.raises(DataError, match=r"no feature file .*d9.jpg_x.bin"):
        megaface.evaluate(p, person, source)
