"""CVLface's templates: an Arrow folder with metadata.pt."""

import io
import json
import pathlib

import numpy as np
import pytest
from pair_files import arrow_images, write_arrow
from torch_values import save

from gluonface.errors import DataError, InputError
from gluonface.evaluation.files.cvlface_sets import open_rows, read_metadata, read_templates

pytest.importorskip("pyarrow", reason="needs the extra: pip install 'gluonface[formats]'")

EXPECTED = pathlib.Path(__file__).resolve().parents[4] / "shared/reference/formats/expected.json"
CASES = json.loads(EXPECTED.read_text())["cases"] if EXPECTED.is_file() else {}
VALUES = {
    "faceness_scores": np.array([0.5, 0.25, 1.0]),
    "templates": np.array([7, 7, 9]),
    "medias": np.array([1, 2, 3]),
    "label": np.array([0, 1]),
    "p1": np.array([7, 9]),
    "p2": np.array([9, 9]),
}


def write(folder, values):
    columns = {"image": arrow_images([b"c", b"a", b"b"]), "index": [30, 1, 2]}
    write_arrow(folder, columns)
    save(folder / "metadata.pt", values)
    return folder


@pytest.mark.parametrize("kind", [np.asarray, list, lambda array: np.asarray(array, object)])
def test_templates(tmp_path, kind):
    values = {name: kind(value.tolist()) for name, value in VALUES.items()}
    images, pairs, crops = read_templates(write(tmp_path / "ijb", values))
    assert [crops.encoded(number) for number in range(3)] == [b"a", b"b", b"c"]
    assert images.template.tolist() == [7, 7, 9]
    assert images.media.tolist() == [1, 2, 3]
    assert images.quality.tolist() == [0.5, 0.25, 1.0]
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([7, 9], [9, 9])
    assert pairs.same.tolist() == [False, True]


@pytest.mark.parametrize("name", [n for n in CASES if CASES[n]["kind"] == "templates"] or ["none"])
def test_reference_templates(shared, name):
    import hashlib

    case = CASES[name]
    images, pairs, crops = read_templates(shared / "reference/formats" / case["source"])
    digests = [hashlib.sha256(crops.encoded(n)).hexdigest()[:12] for n in range(len(crops))]
    assert digests == case["items"]
    assert images.quality.tolist() == case["faceness_scores"]
    assert images.template.tolist() == case["templates"]
    assert images.media.tolist() == case["medias"]
    assert pairs.same.astype(int).tolist() == case["label"]
    assert (pairs.first.tolist(), pairs.second.tolist()) == (case["p1"], case["p2"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"p2": None}, "p2 is NoneType"),
        ({"p2": np.array([9])}, "p2 has 1 entries; numbers for 2 pairs"),
        ({"templates": np.array([1, 2])}, "templates has 2 entries; numbers for 3 images"),
        ({"templates": np.array([1.5, 2, 3])}, "not whole numbers"),
        ({"faceness_scores": np.array([1, np.nan, 3])}, "not finite"),
        ({"label": np.array([0, 2])}, "label does not hold 1 and 0"),
        ({"label": np.array([0, 0])}, "all pairs are different pairs"),
        ({"medias": ["a", "b", "c"]}, "medias has 3 entries"),
    ],
)
def test_entries_that_do_not_fit(tmp_path, changed, message):
    with pytest.raises(DataError, match=message):
        read_templates(write(tmp_path / "ijb", {**VALUES, **changed}))


def test_entries_that_are_missing_are_listed(tmp_path):
    folder = write(tmp_path / "ijb", {"a": 1, "b": 2})
    with pytest.raises(InputError, match="has no templates; it has a, b"):
        read_metadata(folder, ("templates",))
    save(folder / "metadata.pt", [1])
    with pytest.raises(DataError, match="holds list; a dict"):
        read_metadata(folder, ("templates",))
    save(folder / "metadata.pt", io.StringIO)
    with pytest.raises(DataError, match=r"asks to run .*StringIO"):
        read_metadata(folder, ("templates",))
    (folder / "metadata.pt").unlink()
    with pytest.raises(InputError, match=r"has no metadata\.pt"):
        open_rows(folder)
