"""AgeDB's protocol and SurvFace's pairs. The .mat files themselves: formats/test_mat_file.py."""

import numpy as np
import pytest
from pair_files import FOLDS, PAIRS, cell, check, path_of, write_mat, write_people

from gluonface.data import open_pairs
from gluonface.errors import DataError, InputError

FLAT = "{who}_{number}.jpg"


def agedb(path, pairs=PAIRS, bare=False, fields=("name", "age", "images", "labels"), labels=None):
    """Write a protocol of two folds; `bare`: the names without a structure around them."""

    def entry(one):
        name = path_of(one, FLAT)[:-4]
        return name if bare else {fields[0]: name, fields[1]: 30.0}

    splits = np.empty((2, 1), object)
    for fold in (0, 1):
        part = pairs[4 * fold : 4 * fold + 4]
        images = cell([[entry(one[side]) for one in part] for side in (0, 1)])
        signs = labels or [[1 if one[2] else -1 for one in part]]
        splits[fold, 0] = {fields[2]: images, fields[3]: np.array(signs, np.int16)}
    return write_mat(path, splits=splits)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("fields", [("name", "age", "images", "labels"), ("a", "b", "c", "d")])
def test_agedb(tmp_path, bare, fields):
    write_people(tmp_path / "03_Protocol_Images", FLAT)
    path = agedb(tmp_path / "04_FINAL_protocol_30_years.mat", bare=bare, fields=fields)
    agedb(tmp_path / "04_FINAL_protocol_5_years.mat")
    for one in (path, tmp_path):
        check(open_pairs(one), FOLDS)
    away = write_people(tmp_path / "away", FLAT)
    check(open_pairs(path, root=away), FOLDS)


def test_agedbs_faults(tmp_path):
    write_people(tmp_path, FLAT)
    path = tmp_path / "p.mat"
    agedb(path, labels=[[1, -1, 2, 1]])
    with pytest.raises(DataError, match=r"fold 1, pair 3 has the label 2; 1 or -1"):
        open_pairs(path)
    agedb(path, labels=[[1, -1]])
    with pytest.raises(DataError, match=r"fold 1 has \[4, 4\] images for 2 labels"):
        open_pairs(path)
    write_mat(path, splits=np.ones((3, 1)))
    with pytest.raises(DataError, match="fold 1 is no structure"):
        open_pairs(path)
    write_mat(path, other=np.ones(3))
    with pytest.raises(InputError, match="the variables other"):
        open_pairs(path)
    agedb(path, pairs=[(("Nobody", 1), ("Nobody", 2), True)] * 8)
    with pytest.raises(DataError, match="none of the 2 images"):
        open_pairs(path)


def survface(folder, same=None, different=None):
    rows = [[path_of(one, FLAT) for one in pair[:2]] for pair in PAIRS]
    marks = [pair[2] for pair in PAIRS]
    same = [r for r, m in zip(rows, marks) if m] if same is None else same
    different = [r for r, m in zip(rows, marks) if not m] if different is None else different
    folder.mkdir(parents=True, exist_ok=True)
    write_mat(folder / "positive_pairs_names.mat", positive_pairs_names=cell(same))
    write_mat(folder / "negative_pairs_names.mat", negative_pairs_names=cell(different))
    return folder


@pytest.mark.parametrize("below", ["", "Face_Verification_Test_Set"])
def test_survface(tmp_path, below):
    folder = survface(tmp_path / below)
    write_people(folder / "verification_images", FLAT)
    order = [place for place, pair in enumerate(PAIRS) if pair[2]]
    order += [place for place, pair in enumerate(PAIRS) if not pair[2]]
    for path in (tmp_path, folder / "positive_pairs_names.mat"):
        pairs = open_pairs(path)
        assert pairs.issame.tolist() == [True] * 4 + [False] * 4
        again = write_people(tmp_path / "x", FLAT)
        assert pairs.images(0)[0] == (again / path_of(PAIRS[order[0]][0], FLAT)).read_bytes()
    assert open_pairs(tmp_path, folds=2).folds.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]


def test_survfaces_faults(tmp_path):
    survface(tmp_path, same=[["a.jpg", "b.jpg", "c.jpg"]])
    with pytest.raises(DataError, match=r"positive_pairs_names\.mat: .*\(pairs, 2\) names"):
        open_pairs(tmp_path)
    survface(tmp_path, same=[["../a.jpg", "../../b.jpg"]])
    with pytest.raises(DataError, match=r"row 1: .* leads out of"):
        open_pairs(tmp_path)
