"""No speed is asserted here: machines differ. `gluonface bench data` prints it."""

import argparse
import json

import numpy as np
import pytest

from gluonface.bench import _augmented, _face_sources, _many_records, data
from gluonface.data import RecordDataset, images
from gluonface.errors import InputError


def run(*arguments):
    parser = argparse.ArgumentParser()
    data.add_arguments(parser)
    return data.run(parser.parse_args(arguments))


def test_tables_and_json(tmp_path, capsys):
    file = tmp_path / "bench.json"
    options = ("--images", "40", "--batch-size", "16", "--repeats", "1", "--workers", "2")
    assert run(*options, "--open", "500", "--json", str(file)) == 0
    table = capsys.readouterr().out
    value = json.loads(file.read_text())
    assert [row["what"] for row in value["rows"]] == list(data.CONTENDERS)
    assert value["rows"][0]["to_cv2_loop"] == value["rows"][1]["to_mx_loop"] == 1
    assert [row["what"] for row in value["augmented"]] == list(_augmented.CONTENDERS)
    assert value["augmented"][0]["to_iterator"] == value["augmented"][1]["to_data_loader"] == 1
    assert (value["images"], value["workers"], value["batch_size"]) == (40, 2, 16)
    for row in value["rows"] + value["augmented"]:
        assert row["images_per_second"] > 0
        assert f"{row['images_per_second']:,.0f}" in table
        assert row["measures"] in table
    assert "baseline: MXIndexedRecordIO.read_idx" in table
    assert len(value["megabytes_after_epochs"]) == 3
    assert value["open"]["images"] == 500
    assert "Opening 500 records: " in table


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


def test_the_plain_copy_holds_the_same_records(tmp_path):
    data.make_records(tmp_path / "set", 25)
    dataset = RecordDataset(tmp_path / "set")
    _augmented.copy_plain(dataset, 22, tmp_path / "plain")
    copy = RecordDataset(tmp_path / "plain.rec")
    assert [copy.record(i) for i in range(len(copy))] == [dataset.record(i) for i in range(22)]


@pytest.mark.parametrize("count", [1, 48, 49, 500])
def test_many_records_are_a_set_like_others(tmp_path, count):
    _many_records.make(tmp_path, count)
    dataset = RecordDataset(tmp_path)
    assert len(dataset) == count
    assert dataset.num_classes == -(-count // 48)
    assert dataset.key(count - 1) == count


@pytest.mark.slow
def test_17_million_records_open_in_10_seconds_and_500_megabytes(tmp_path):
    """The one speed that is asserted: it is five times what two busy cores take."""
    _many_records.make(tmp_path, 17_000_000)
    found = _many_records.open_elsewhere(tmp_path)
    assert found["images"] == 17_000_000
    assert found["megabytes"] < 500
    assert found["seconds"] < 10


@pytest.mark.slow
def test_memory_does_not_grow_over_epochs(tmp_path):
    from gluonface.data import Loader

    data.make_records(tmp_path / "set", 1280)
    dataset = RecordDataset(tmp_path / "set", cache=0)
    steps = ["color_jitter", "rand_augment", "random_erasing", "jpeg", "cutmix"]
    loader = Loader(dataset, 16, augment=steps, workers=2)
    used = []
    for epoch in range(8):
        for batch in loader.epoch(epoch):
            assert len(batch.labels) == 16
        used.append(_augmented.memory())
    # An epoch has 48 MB of batches. The allocator settles within three epochs, a few batches above
    # where it began; 3 % of each epoch that stayed would show.
    assert used[7] - used[3] < 5e6


@pytest.mark.parametrize("option", ["--batch-size", "--workers", "--images", "--repeats", "--open"])
def test_wrong_numbers(option, capsys):
    with pytest.raises(SystemExit) as caught:
        run(option, "0")
    assert caught.value.code == 2
    assert "'0': a whole number from 1 was expected" in capsys.readouterr().err


@pytest.mark.slow
def test_packing_from_every_form(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    pytest.importorskip("lmdb")
    file = tmp_path / "bench.json"
    options = ("--images", "40", "--repeats", "1", "--json", str(file))
    assert run("--source", *options, "--open", "2000") == 0
    value = json.loads(file.read_text())
    assert [row["form"] for row in value["rows"]] == ["folders", *_face_sources.FORMS]
    assert value["rows"][0]["to_folders"] == 1
    assert all(row["images_per_second"] > 0 for row in value["rows"])
    assert [row["images"] for row in value["open"]] == [2000, 2000]
    assert "Opening 2,000 entries, lmdb" in capsys.readouterr().out


def test_packing_a_source_of_ones_own(tmp_path, capsys):
    data.make_records(tmp_path / "faces", 40)
    assert run("--source", str(tmp_path / "faces"), "--repeats", "1") == 0
    assert "records" in capsys.readouterr().out
