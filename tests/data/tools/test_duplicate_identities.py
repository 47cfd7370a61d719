"""Identities that are one person: against brute force, and through the commands."""

import numpy as np
import pytest

from gluonface.cli import main
from gluonface.data import RecordDataset, RecordWriter, images
from gluonface.data.tools.duplicate_identities import (
    find_duplicate_identities,
    write_duplicate_identities,
)
from gluonface.data.tools.transform_records import read_identity_map
from gluonface.errors import InputError


@pytest.mark.parametrize("block", [7, 1 << 24])
def test_equals_brute_force(block):
    random = np.random.default_rng(0)
    centers = random.standard_normal((40, 6)) * random.uniform(0.1, 9, (40, 1))
    names = np.sort(random.permutation(1000)[:40])
    found = find_duplicate_identities(centers, names, 0.6, block)
    unit = centers / np.linalg.norm(centers, axis=1, keepdims=True)
    expected = {
        (int(names[a]), int(names[b])): float(unit[a] @ unit[b])
        for a in range(40)
        for b in range(a + 1, 40)
        if unit[a] @ unit[b] >= 0.6
    }
    assert len(expected) > 20
    assert {pair[:2] for pair in found} == set(expected)
    for *pair, cosine in found:
        assert cosine == pytest.approx(expected[tuple(pair)], abs=1e-6)  # float32 products
    assert [pair[2] for pair in found] == sorted((pair[2] for pair in found), reverse=True)


@pytest.mark.parametrize("cosine", [0.0, 1.0, -1.0])
def test_cosines_that_are_none(cosine):
    with pytest.raises(InputError, match="less than 1"):
        find_duplicate_identities(np.eye(3), np.arange(3), cosine)


def test_the_map_sends_each_identity_to_its_nearest(tmp_path):
    write_duplicate_identities(tmp_path / "map.csv", [(1, 5, 0.9), (0, 5, 0.8), (0, 1, 0.7)])
    assert read_identity_map(tmp_path / "map.csv") == {(0, 5): (0, 1), (0, 1): (0, 0)}


def test_found_and_joined_by_the_commands(tmp_path, capsys):
    random = np.random.default_rng(1)
    faces = np.linalg.qr(random.standard_normal((8, 8)))[0]
    person = [0, 1, 0, 2]  # identities 0 and 2 are one person; identity 1 has an image of nobody
    with RecordWriter(tmp_path / "set") as writer:
        for label in range(4):
            for _ in range(3):
                pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
                writer.add(images.encode(pixels, 101), label)
    rows = np.repeat(faces[person], 3, axis=0) + 0.05 * random.standard_normal((12, 8))
    rows[4] = faces[5]
    np.save(tmp_path / "rows.npy", rows.astype(np.float32))
    words = ["data", "clean", str(tmp_path / "set"), "--embeddings", str(tmp_path / "rows.npy")]
    out = tmp_path / "clean"
    assert (
        main([*words, "--centers", "means", "--out", str(out), "--same", "0.7", "--angle", "50"])
        == 0
    )
    assert "same people  1 pairs" in capsys.readouterr().out
    assert read_identity_map(out / "same.csv") == {(0, 2): (0, 0)}
    joined = tmp_path / "joined"
    words = ["data", "merge", str(out), "--map", str(out / "same.csv"), "--out", str(joined)]
    assert main(words) == 0
    assert np.bincount(RecordDataset(joined).labels).tolist() == [6, 2, 3]
    words = ["data", "clean", str(tmp_path / "set"), "--centers", "means", "--dry-run"]
    assert main([*words, "--embeddings", str(tmp_path / "rows.npy"), "--same", "2"]) == 2
