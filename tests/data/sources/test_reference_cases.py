"""The cases of ../shared/reference/formats, through the function and through the commands."""

import collections
import csv
import hashlib
import json

import numpy as np
import pytest

from gluonface.cli import main
from gluonface.data import RecordDataset, images, open_source
from gluonface.errors import GluonfaceError

# Of one case the lists of two groups name the same files, whose first content was overwritten.
OVERWRITTEN = {"demogpairs_2"}
TRAINING = [
    "tree_person",
    "tree_group_person",
    "tree_person_session",
    "tree_junk",
    "list_header_csv",
    "list_plain_txt",
    "list_deepglint_txt",
    "list_paths_txt",
    "list_train_tsv",
    "zip_webface",
    "zip_digiface",
    "tar_tree",
    "archive_hostile",
    "wds",
    "wds_names",
    "parquet_classlabel",
    "parquet_identity",
    "hf_disk",
    "lmdb",
    "lmdb_pickle",
    "tfrecord_tface",
    "tfrecord_features",
    "tfrecord_pixels",
    "rec_builder",
    "rec_chunks",
    "demogpairs",
    "tree_same_name_2",
    "tree_mixed_depth_2",
    "list_train_lst_2",
    "list_semicolon_csv_2",
    "zip_digiface_2",
    "demogpairs_2",
]
REFUSED = {
    "parquet_no_bytes": "the images are not",
    "lmdb_other": "first keys are hello",
    "tfrecord_broken": "the checksum of the first length is wrong",
    "rec_train_val": "several .rec files",
    "bfw_pkl": "as CSV",
}


@pytest.fixture(scope="module")
def cases(shared):
    folder = shared / "reference" / "formats"
    if not (folder / "expected.json").is_file():
        pytest.skip("needs ../shared/reference/formats")
    return folder, json.loads((folder / "expected.json").read_text())["cases"]


def source_of(folder, case):
    options = dict(case.get("options", {}))
    if "root" in options:
        options["root"] = folder / options["root"]
    if "strip" in case:
        options["strip"] = case["strip"]
    return folder / case["source"], options


def flags(options):
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def test_every_training_case_is_here(cases):
    kinds = {name for name, case in cases[1].items() if case["kind"] == "training"}
    assert kinds == set(TRAINING)


@pytest.mark.parametrize("name", TRAINING)
def test_functions(cases, name):
    folder, case = cases[0], cases[1][name]
    path, options = source_of(folder, case)
    source = open_source(path, **options)
    numbers = range(len(source))
    assert (len(source), source.num_identities) == (case["images"], case["identities"])
    assert collections.Counter(source.identity(i) for i in numbers) == case["counts"]
    found = []
    for i in numbers:
        data = source.read(i)
        if "digests" in case:
            data = images.decode(data).tobytes()
        found.append([source.identity(i), hashlib.sha256(data).hexdigest()[:12]])
    if name not in OVERWRITTEN:
        order = list if case["ordered"] else sorted
        assert order(found) == order(case["items"])
    groups = collections.defaultdict(set)
    for i in numbers:
        groups[source.group(i)].add(source.identity(i))
    for group, wanted in case.get("groups", {None: None}).items():
        if isinstance(wanted, int):
            assert len(groups[group]) == wanted
        elif wanted is not None:
            assert groups[group] == set(wanted)
        else:
            assert set(groups) == {None}


@pytest.mark.parametrize("name", TRAINING)
def test_commands(cases, name, tmp_path, capsys):
    folder, case = cases[0], cases[1][name]
    path, options = source_of(folder, case)
    out = tmp_path / "set"
    words = [str(path), *flags(options)]
    resized = ["--resize", "--quality", "101"]
    assert main(["data", "pack", words[0], str(out), *words[1:], *resized]) == 0
    dataset = RecordDataset(out)
    with open(out / "identities.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    counts = np.bincount(dataset.labels)
    assert {row["name"]: counts[int(row["identity"])] for row in rows} == case["counts"]
    assert ("group" in rows[0]) == ("groups" in case)
    report = tmp_path / "found.json"
    assert main(["data", "inspect", *words, "--json", str(report)]) == 0
    found = json.loads(report.read_text())
    assert (found["images"], found["identities"]) == (case["images"], case["identities"])
    if case.get("ask"):
        for command in (["pack", str(path), str(tmp_path / "x")], ["inspect", str(path)]):
            capsys.readouterr()
            assert main(["data", *command]) == 2
            error = capsys.readouterr().err
            first = case.get("by_first_folder", {case["identities"]: 0})
            readings = {case["identities"], case.get("by_last_folder", len(first))}
            assert all(f" {count} " in error for count in readings)
            assert "--person first" in error


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(cases, name, tmp_path, capsys):
    folder, case = cases[0], cases[1][name]
    path, options = source_of(folder, case)
    with pytest.raises(GluonfaceError, match=REFUSED[name]):
        open_source(path, **options)
    assert main(["data", "pack", str(path), str(tmp_path / "x"), *flags(options)]) in (1, 2)
    assert REFUSED[name] in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
