"""No speed is asserted here: machines differ. `gluonface bench data` prints it."""

import argparse
import json

import numpy as np
import pytest

from gluonface.bench import data
from gluonface.data import RecordDataset, images
from gluonface.errors import InputError


def run(*arguments):
    parser = argparse.ArgumentParser()
    data.add_arguments(parser)
    return data.run(parser.parse_args(arguments))


def test_table_and_json(tmp_path, capsys):
    file = tmp_path / "bench.json"
    options = ("--images", "40", "--batch-size", "16", "--repeats", "1", "--workers", "2")
    assert run(*options, "--json", str(file)) == 0
    table = capsys.readouterr().out
    value = json.loads(file.read_text())
    assert [row["what"] for row in value["rows"]] == list(data.CONTENDERS)
    assert value["rows"][0]["to_cv2_loop"] == value["rows"][1]["to_mx_loop"] == 1
    assert (value["images"], value["workers"], value["batch_size"]) == (40, 2, 16)
    for row in value["rows"]:
        assert row["images_per_second"] > 0
        assert f"{row['images_per_second']:,.0f}" in table
        assert row["measures"] in table
    assert "baseline: MXIndexedRecordIO.read_idx" in table


def test_given_records(tmp_path, capsys):
    data.make_records(tmp_path / "set", 25)
    assert run("--data", str(tmp_path / "set"), "--batch-size", "8", "--repeats", "1") == 0
    assert "25 images of 112 x 112" in capsys.readouterr().out
    with pytest.raises(InputError, match="--batch-size 99: there are only 25 images"):
        run("--data", str(tmp_path / "set"), "--batch-size", "99")


def test_made_images_are_like_real_crops(tmp_path):
    """Aligned crops of MS1M take 5 to 10 kB; the measurement must not be easier than those."""
    data.make_records(tmp_path / "set", 30)
    dataset = RecordDataset(tmp_path / "set")
    assert 5000 < np.mean([len(dataset.read(i)) for i in range(30)]) < 10_000
    assert images.size(dataset.read(0)) == (112, 112)
    assert dataset.labels.tolist() == [0] * 20 + [1] * 10


@pytest.mark.parametrize("option", ["--batch-size", "--workers", "--images", "--repeats"])
def test_wrong_numbers(option, capsys):
    with pytest.raises(SystemExit) as caught:
        run(option, "0")
    assert caught.value.code == 2
    assert "'0': a whole number from 1 was expected" in capsys.readouterr().err
