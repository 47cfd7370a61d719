"""Probes and galleries as published: who is on which side, and who is nobody."""

import hashlib
import json
import pathlib

import numpy as np
import pytest
from pair_files import arrow_images, cell, write_arrow, write_mat
from torch_values import save

from gluonface.errors import DataError, InputError
from gluonface.evaluation.files.search_set import open_search_set

EXPECTED = pathlib.Path(__file__).resolve().parents[4] / "shared/reference/formats/expected.json"
CASES = json.loads(EXPECTED.read_text())["cases"] if EXPECTED.is_file() else {}


def listed(folder, stem, names, ids, images=None):
    variable = stem.replace("_match", "")
    write_mat(
        folder / f"{stem}_img_ID_pairs.mat",
        **{f"{variable}_set": cell([[name] for name in names])},
        **{f"{variable}_ids": np.array(ids).reshape(-1, 1)},
    )
    place = folder / (images or stem)
    place.mkdir()
    for name in names:
        (place / name).write_bytes(f"{stem}/{name}".encode())


def side(images):
    return [images.encoded(number).decode() for number in range(len(images))]


@pytest.mark.parametrize("below", ["", "Testing_Set"])
def test_tinyface(tmp_path, below):
    folder = tmp_path / below
    folder.mkdir(exist_ok=True)
    listed(folder, "probe", ["12_1.jpg", "3_2.jpg"], [12, 3], "Probe")
    listed(folder, "gallery_match", ["3_7.jpg", "12_4.jpg"], [3, 12], "Gallery_Match")
    (folder / "Gallery_Distractor").mkdir()
    for name in ("12_55.jpg", "0_1.PNG", "readme.txt"):
        (folder / "Gallery_Distractor" / name).write_bytes(name.encode())
    found = open_search_set(tmp_path)
    assert side(found.probes) == ["probe/12_1.jpg", "probe/3_2.jpg"]
    assert found.probe_ids == ["12", "3"]
    assert side(found.gallery)[:2] == ["gallery_match/3_7.jpg", "gallery_match/12_4.jpg"]
    assert sorted(side(found.gallery)[2:]) == ["0_1.PNG", "12_55.jpg"]
    assert found.gallery_ids[:2] == ["3", "12"]
    assert not set(found.gallery_ids[2:]) & set(found.probe_ids)
    assert len(set(found.gallery_ids)) == 4
    assert (found.distractors, found.unmated) == (2, 0)


@pytest.mark.parametrize(
    "lists", ["Face_Identification_Test_Set", "Face_Identification_Evaluation"]
)
def test_survface_has_probes_without_mates(tmp_path, lists):
    folder = tmp_path / "Face_Identification_Test_Set"
    folder.mkdir()
    listed(folder, "gallery", ["1_a.jpg", "2_a.jpg"], [1, 2])
    listed(folder, "mated_probe", ["1_b.jpg"], [1])
    (folder / "unmated_probe").mkdir()
    (folder / "unmated_probe/1_c.jpg").write_bytes(b"unmated")
    (tmp_path / lists).mkdir(exist_ok=True)
    for file in folder.glob("*.mat"):
        file.rename(tmp_path / lists / file.name)
    found = open_search_set(tmp_path)
    assert side(found.probes) == ["mated_probe/1_b.jpg", "unmated"]
    assert found.probe_ids[0] == "1"
    assert found.probe_ids[1] not in found.gallery_ids
    assert (found.distractors, found.unmated) == (0, 1)


def test_cvlface(tmp_path):
    pytest.importorskip("pyarrow", reason="needs the extra: pip install 'gluonface[formats]'")
    paths = ["Probe/3_1.jpg", "Probe/12_4.jpg", "Gallery_Match/3_9.jpg", "D/3_77.jpg"]
    columns = {
        "image": arrow_images([path.encode() for path in reversed(paths)]),
        "index": [3, 2, 1, 0],
        "path": list(reversed(paths)),
    }
    folder = write_arrow(tmp_path / "tiny", columns)
    facts = {
        "image_paths": np.array(paths),
        "probe_paths": [f"/x/{paths[1]}", "3_1.png"],
        "gallery_paths": paths[2:3],
        "distractor_paths": np.array(paths[3:], object),
    }
    save(folder / "metadata.pt", facts)
    found = open_search_set(folder)
    assert (side(found.probes), found.probe_ids) == ([paths[1], paths[0]], ["12", "3"])
    assert (side(found.gallery), found.gallery_ids[0]) == (paths[2:], "3")
    assert found.gallery_ids[1] not in found.probe_ids
    save(folder / "metadata.pt", {**facts, "gallery_paths": ["none.jpg"]})
    with pytest.raises(DataError, match=r"none\.jpg in gallery_paths, which has no"):
        open_search_set(folder)


@pytest.mark.parametrize(
    "name", [n for n in CASES if CASES[n]["kind"] == "identification"] or ["none"]
)
def test_reference_sets(shared, name):
    case = CASES[name]
    found = open_search_set(shared / "reference/formats" / case["source"])

    def rows(images, identities):
        digests = [hashlib.sha256(images.encoded(n)).hexdigest()[:12] for n in range(len(images))]
        return list(map(list, zip(identities, digests)))

    assert sorted(rows(found.probes, found.probe_ids)) == sorted(case["probes"])
    gallery = rows(found.gallery, found.gallery_ids)
    known = len(gallery) - found.distractors
    assert sorted(gallery[:known]) == sorted(case["gallery"])
    assert sorted(digest for _, digest in gallery[known:]) == sorted(case["distractors"])


def test_what_is_none_or_broken(tmp_path):
    with pytest.raises(DataError, match=r"no set for identification: .* nothing"):
        open_search_set(tmp_path)
    listed(tmp_path, "probe", ["a.jpg"], [1])
    with pytest.raises(DataError, match="lists no gallery"):
        open_search_set(tmp_path)
    listed(tmp_path, "gallery", ["a.jpg", "b.jpg"], [1, 2])
    (tmp_path / "gallery/b.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of the 2 images .* missing is b\.jpg"):
        open_search_set(tmp_path)
    write_mat(tmp_path / "gallery_img_ID_pairs.mat", gallery_set=cell([["a.jpg"]]), x_ids=[1, 2])
    with pytest.raises(DataError, match="1 images and 2 identities"):
        open_search_set(tmp_path)
    write_mat(tmp_path / "gallery_img_ID_pairs.mat", other=[1])
    with pytest.raises(DataError, match=r"holds other; one \*_set"):
        open_search_set(tmp_path)
    write_mat(tmp_path / "gallery_img_ID_pairs.mat", g_set=cell([["../../x.jpg"]]), g_ids=[[1]])
    with pytest.raises(DataError, match="leads out of"):
        open_search_set(tmp_path)
    with pytest.raises(InputError, match="is not there"):
        open_search_set(tmp_path / "none")
