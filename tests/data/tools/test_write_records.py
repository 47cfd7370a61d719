"""Packing, unpacking, rearranging and merging of sets, and pairs into packs."""

import csv
import json

import numpy as np
import pytest

from gluonface.cli import main
from gluonface.data import RecordDataset, RecordWriter, VerificationPack, images
from gluonface.data.sources.list_file import read_list
from gluonface.data.tools import resumable_writer
from gluonface.data.tools.transform_records import merge, read_identity_map, shuffle, subset
from gluonface.data.tools.unpack import unpack_pack, unpack_records
from gluonface.data.tools.write_pack import pack_pairs, read_pairs
from gluonface.data.tools.write_records import pack
from gluonface.errors import DataError, InputError

QUIET = {"progress": False}
SIZE = 24
COUNTS = {"10": 3, "9": 1, "ann": 4}  # images per person; natural order puts 9 before 10


def face(seed, size=SIZE):
    image = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return images.encode(image, 101)


@pytest.fixture
def people(tmp_path):
    root = tmp_path / "people"
    for person, count in COUNTS.items():
        (root / person).mkdir(parents=True)
        for n in range(count):
            (root / person / f"{n}.png").write_bytes(face(len(person) * 100 + n + count * 10))
    return root


@pytest.fixture
def made(people, tmp_path):
    pack(people, tmp_path / "set", size=SIZE, **QUIET)
    return tmp_path / "set"


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def content(path):
    """Return the (label, bytes) of a set in its order."""
    dataset = RecordDataset(path)
    return [dataset.record(i) for i in range(len(dataset))]


def test_folders_of_people(people, made):
    assert table(made / "identities.csv") == [
        ["identity", "name"],
        ["0", "9"],
        ["1", "10"],
        ["2", "ann"],
    ]
    expected = [
        (label, path.read_bytes())
        for label, person in enumerate(("9", "10", "ann"))
        for path in sorted((people / person).iterdir())
    ]
    assert content(made) == expected
    assert RecordDataset(made).num_classes == 3
    assert not (made / ".writing.json").exists()


def test_what_is_left_out_is_listed(people, tmp_path):
    (people / "ann" / "0.png").write_bytes(face(7)[:-30])
    (people / "ann" / "1.png").write_bytes(face(7, SIZE + 4))
    (people / "10" / "2.png").write_bytes(b"")
    (people / "10" / "film.gif").write_bytes(b"GIF89a")
    (people / "nobody").mkdir()
    found = pack(people, tmp_path / "set", size=SIZE, min_images=2, **QUIET)
    assert (found["images"], found["identities"], found["few_images"]) == (4, 2, 1)
    rows = {row[0].rsplit("/", 1)[-1]: row for row in table(tmp_path / "set" / "left_out.csv")[1:]}
    assert len(rows) == 5
    assert "convert it" in rows["film.gif"][1]
    assert "empty folder" in rows["nobody"][1]
    assert any("28 x 28" in row[1] and "--resize" in row[1] for row in rows.values())
    again = pack(people, tmp_path / "other", size=SIZE, resize=True, **QUIET)
    assert again["images"] == 6


def test_lists(people, tmp_path):
    file = tmp_path / "faces.lst"
    file.write_text("0\t7.000000\t9/0.png\n1\t5\tann/0.png\n2\t5\tann/1.png\n")
    pack(file, tmp_path / "a", size=SIZE, root=people, **QUIET)
    file.write_text("# path label\r\n9/0.png,7\r\nann/0.png,5\r\nann/1.png,5\r\n")
    pack(file, tmp_path / "b", size=SIZE, root=people, **QUIET)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert table(tmp_path / "a" / "identities.csv")[1:] == [["0", "5"], ["1", "7"]]


@pytest.mark.parametrize(
    "line",
    ["7\t3.0\ta b/1.jpg", "1\ta b/1.jpg\t3\t10\t20", "a b/1.jpg 3", "a b/1.jpg,3", "a b/1.jpg\t3"],
)
def test_lines_of_lists(tmp_path, line):
    file = tmp_path / "faces.lst"
    file.write_text(line + "\r\n")
    labels, names = read_list(file)
    assert (labels.tolist(), names) == ([3], ["a b/1.jpg"])


@pytest.mark.parametrize(
    "text", ["a.png\n", "a.png -1", "a.png 1.5", "1\tx\ta.png", "a.png inf", ""]
)
def test_lists_that_are_none(tmp_path, text):
    file = tmp_path / "faces.lst"
    file.write_text(text)
    with pytest.raises(DataError, match=r"faces\.lst"):
        read_list(file)


def test_a_plain_set_with_broken_records_is_mended(tmp_path):
    with RecordWriter(tmp_path / "plain", plain=True) as writer:
        for n, label in enumerate((2, 0, 2, 1)):
            writer.add(face(n), label)
    rec = tmp_path / "plain" / "train.rec"
    data = bytearray(rec.read_bytes())
    at = RecordDataset(rec)._records.extent(1)[0] + 12
    data[at : at + 4] = np.float32(0.5).tobytes()  # a label that is no identity
    rec.write_bytes(data)
    found = pack(tmp_path / "plain", tmp_path / "good", size=SIZE, **QUIET)
    assert (found["source"], found["images"]) == ("records", 3)
    assert found["left_out"][0][0] == "record 1"
    assert [label for label, _ in content(tmp_path / "good")] == [0, 1, 1]


def test_interrupted_work_goes_on(people, tmp_path, monkeypatch):
    out, calls = tmp_path / "set", []
    labels = [0, 0, 0, 1, 1, 2, 2, 2]
    data = [face(n) for n in range(8)]

    def load(i, stop):
        calls.append(i)
        if i == stop:
            raise KeyboardInterrupt
        if i == 1:
            raise DataError("broken")
        return data[i]

    with pytest.raises(KeyboardInterrupt):
        resumable_writer.write_record_set(
            out, labels, lambda i: load(i, 5), {"x": 1}, workers=1, **QUIET
        )
    assert not (out / "train.rec").exists()
    with open(out / ".train.rec.part", "ab") as part:
        part.write(b"half a record")  # as a kill leaves it
    del calls[:]
    found = resumable_writer.write_record_set(
        out, labels, lambda i: load(i, None), {"x": 1}, workers=1, **QUIET
    )
    assert min(calls) == 5
    assert found["left_out"] == [("1", "broken")]
    assert content(out) == [(labels[i], data[i]) for i in range(8) if i != 1]
    resumable_writer.write_record_set(
        tmp_path / "whole", labels, lambda i: load(i, None), {}, workers=2, **QUIET
    )
    for name in ("train.rec", "train.idx", "property"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_lost_part_begins_anew(tmp_path, caplog):
    def load(i, stop=None):
        if i == stop:
            raise KeyboardInterrupt
        return face(i)

    with pytest.raises(KeyboardInterrupt):
        resumable_writer.write_record_set(
            tmp_path, [0, 0, 0], lambda i: load(i, 2), {}, workers=1, **QUIET
        )
    (tmp_path / ".train.rec.part").write_bytes(b"")
    resumable_writer.write_record_set(tmp_path, [0, 0, 0], load, {}, **QUIET)
    assert len(content(tmp_path)) == 3
    assert "begins anew" in caplog.text


def test_other_labels_begin_anew(made, tmp_path, monkeypatch):
    """A map changes labels and not the order of the images: half of each would be a mixed set."""
    read = RecordDataset.read

    def interrupted(self, index):
        if index == 6:
            raise KeyboardInterrupt
        return read(self, index)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(RecordDataset, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            merge([made], out, identity_map={(0, 1): (0, 0)}, workers=1, **QUIET)
    merge([made], out, identity_map={(0, 2): (0, 1)}, **QUIET)
    assert [label for label, _ in content(out)] == [0, 1, 1, 1, 1, 1, 1, 1]


def test_other_settings_begin_anew(tmp_path):
    def load(i, stop=None):
        if i == stop:
            raise KeyboardInterrupt
        return face(i)

    with pytest.raises(KeyboardInterrupt):
        resumable_writer.write_record_set(tmp_path, [0, 0], lambda i: load(i, 1), {"x": 1}, **QUIET)
    calls = []
    resumable_writer.write_record_set(
        tmp_path, [0, 0], lambda i: calls.append(i) or face(i), {"x": 2}, **QUIET
    )
    assert sorted(calls) == [0, 1]


def test_a_set_is_not_overwritten_by_chance(people, made):
    with pytest.raises(InputError, match="--overwrite"):
        pack(people, made, size=SIZE, **QUIET)
    pack(people, made, size=SIZE, overwrite=True, **QUIET)
    with pytest.raises(InputError, match="is a file"):
        pack(people, made / "property", size=SIZE, **QUIET)
    for change in ({"size": 0}, {"size": 9999}, {"quality": 0}, {"quality": 102}):
        with pytest.raises(InputError, match="a number from"):
            pack(people, made / "x", **{"size": SIZE, **change}, **QUIET)


def test_unpacked_and_packed_again(made, tmp_path):
    found = unpack_records(made, tmp_path / "files", **QUIET)
    assert found == {"images": 8, "identities": 3, "left_out": []}
    pack(tmp_path / "files", tmp_path / "again", size=SIZE, **QUIET)
    assert content(tmp_path / "again") == content(made)


def test_unpacking_again_writes_what_is_missing_or_another(made, tmp_path):
    unpack_records(made, tmp_path / "files", **QUIET)
    first, second, third = sorted((tmp_path / "files").rglob("*.png"))[:3]
    whole = second.read_bytes()
    second.write_bytes(whole[:-9] + b"otherend!")
    third.unlink()
    before = first.stat().st_mtime_ns
    unpack_records(made, tmp_path / "files", **QUIET)
    assert (second.read_bytes(), third.exists()) == (whole, True)
    assert first.stat().st_mtime_ns == before


def test_subset_by_identity_and_number_of_images(made, tmp_path):
    found = subset(made, tmp_path / "a", identities=[2, 0], **QUIET)
    assert (found["images"], found["identities"]) == (5, 2)
    assert table(tmp_path / "a" / "identities.csv")[1:] == [["0", "0"], ["1", "2"]]
    subset(made, tmp_path / "b", min_images=3, keep_ids=True, **QUIET)
    assert [label for label, _ in content(tmp_path / "b")] == [1, 1, 1, 2, 2, 2, 2]
    assert RecordDataset(tmp_path / "b").num_classes == 3
    subset(made, tmp_path / "c", max_images=2, seed=3, **QUIET)
    assert np.bincount([label for label, _ in content(tmp_path / "c")]).tolist() == [1, 2, 2]
    assert set(content(tmp_path / "c")) <= set(content(made))
    keys = [RecordDataset(made).key(i) for i in (1, 7)]
    subset(made, tmp_path / "d", images=keys, **QUIET)
    assert [data for _, data in content(tmp_path / "d")] == [content(made)[i][1] for i in (1, 7)]
    subset(made, tmp_path / "e", first=1, **QUIET)
    assert len(content(tmp_path / "e")) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identities": [5]}, "no identities 5"),
        ({"images": [99]}, "no images 99"),
        ({"min_images": 9}, "no image is left"),
        ({"min_images": 0}, "1 or more"),
        ({"max_images": 0}, "1 or more"),
        ({"first": 0}, "1 or more"),
        ({"max_images": 1, "seed": -1}, "seed=-1"),
        ({"workers": 0}, "workers=0"),
    ],
)
def test_subsets_that_are_none(made, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        subset(made, tmp_path / "x", **change, **QUIET)


def test_merging_with_a_map(made, tmp_path):
    (tmp_path / "map.csv").write_text("set,identity,set,identity\n1,0,0,2\n1,2,1,0\n")
    pairs = read_identity_map(tmp_path / "map.csv")
    found = merge([made, made], tmp_path / "two", identity_map=pairs, **QUIET)
    assert (found["images"], found["identities"], found["joined"]) == (16, 4, 2)
    # Set 1: its 0 and 2 are 2 of set 0, and its 1 is new.
    assert np.bincount([label for label, _ in content(tmp_path / "two")]).tolist() == [1, 3, 9, 3]
    assert table(tmp_path / "two" / "identities.csv")[1:] == [
        ["0", "0", "0"],
        ["1", "0", "1"],
        ["2", "0", "2"],
        ["2", "1", "0"],
        ["2", "1", "2"],
        ["3", "1", "1"],
    ]
    plain = merge([made, made], tmp_path / "offset", **QUIET)
    assert (plain["identities"], plain["joined"]) == (6, 0)


def test_maps_that_are_none(made, tmp_path):
    with pytest.raises(InputError, match="identity 7 of set 1"):
        merge([made, made], tmp_path / "x", identity_map={(1, 7): (0, 0)}, **QUIET)
    with pytest.raises(InputError, match="earlier one"):
        merge([made, made], tmp_path / "x", identity_map={(0, 0): (1, 0)}, **QUIET)
    with pytest.raises(InputError, match="two or more"):
        merge([made], tmp_path / "x", **QUIET)
    (tmp_path / "map.csv").write_text("1,0,0,2\n1,0,0,1\n")
    with pytest.raises(DataError, match="line 2 maps identity 0 a second time"):
        read_identity_map(tmp_path / "map.csv")
    (tmp_path / "map.csv").write_text("1,0,zero,2\n")
    with pytest.raises(DataError, match="line 1"):
        read_identity_map(tmp_path / "map.csv")


def test_sets_of_two_sizes_do_not_merge(made, tmp_path):
    with RecordWriter(tmp_path / "big") as writer:
        writer.add(face(0, 32), 0)
    with pytest.raises(InputError, match="24 x 24 and 32 x 32"):
        merge([made, tmp_path / "big"], tmp_path / "x", **QUIET)


def test_shuffled_by_image_and_by_identity(made, tmp_path):
    shuffle(made, tmp_path / "a", seed=1, **QUIET)
    mixed = content(tmp_path / "a")
    assert sorted(mixed) == sorted(content(made))
    assert mixed != content(made)
    shuffle(made, tmp_path / "same", seed=1, **QUIET)
    assert content(tmp_path / "same") == mixed
    shuffle(made, tmp_path / "b", seed=1, by="identity", **QUIET)
    was = {int(a): int(b) for a, b in table(tmp_path / "b" / "identities.csv")[1:]}
    assert sorted((was[label], data) for label, data in content(tmp_path / "b")) == sorted(
        content(made)
    )


def test_pairs_in_lfws_form_and_plain(people, tmp_path):
    root = tmp_path / "lfw"
    for person, number in (("Ann_B", 1), ("Ann_B", 2), ("Cid", 12)):
        (root / person).mkdir(parents=True, exist_ok=True)
        (root / person / f"{person}_{number:04d}.png").write_bytes(face(number))
    (tmp_path / "pairs.txt").write_text("1\t1\nAnn_B\t1\t2\r\nAnn_B\t2\tCid\t12\n")
    made = pack_pairs(tmp_path / "pairs.txt", root, tmp_path / "a.bin", size=SIZE, **QUIET)
    assert made.issame.tolist() == [True, False]
    read = VerificationPack.load(tmp_path / "a.bin")
    assert read.bins == [face(1), face(2), face(2), face(12)]
    found = unpack_pack(tmp_path / "a.bin", tmp_path / "files", **QUIET)
    assert found == {"pairs": 2, "images": 4}
    pack_pairs(tmp_path / "files/pairs.csv", tmp_path / "files", tmp_path / "b.bin", SIZE, **QUIET)
    again = VerificationPack.load(tmp_path / "b.bin")
    assert (again.bins, again.issame.tolist()) == (read.bins, read.issame.tolist())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\nAnn 1\n", "line 2"),
        ("a.png,b.png\n", "line 1"),
        ("a.png,b.png,2\n", "line 1"),
        ("# nothing\n", "no pairs"),
        ("a.png b.png 1\n", r"line 1: .*a\.png: No such file"),
    ],
)
def test_pairs_that_are_none(tmp_path, text, message):
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        pack_pairs(tmp_path / "pairs.txt", tmp_path, tmp_path / "x.bin", **QUIET)


def test_lines_of_pairs_are_named(tmp_path):
    (tmp_path / "pairs.txt").write_text("# x\r\n\r\na.png\tb.png\t0\r\n")
    assert read_pairs(tmp_path / "pairs.txt") == [(3, "a.png", "b.png", False)]


def test_names_that_are_no_text(people, tmp_path):
    import subprocess
    import sys

    odd = people / b"odd \xff\n\xc3\xa9".decode("utf-8", "surrogateescape")
    odd.mkdir()
    (odd / "1.png").write_bytes(face(3))
    (odd / "2.png").write_bytes(b"")
    code = "import sys; from gluonface.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["data", "pack", str(people), str(tmp_path / "set"), "--size", str(SIZE)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--json", str(tmp_path / "j")], capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert b"2.png: it is empty" in done.stdout
    written = (tmp_path / "set" / "identities.csv").read_bytes()
    assert b'"odd \xff\n\xc3\xa9"' in written  # the bytes that it was
    assert json.loads((tmp_path / "j").read_text())["images"] == 9


def test_the_commands(people, tmp_path, capsys):
    at = {name: str(tmp_path / name) for name in ("s", "u", "h", "m", "sub", "r.json")}
    size = ["--size", str(SIZE)]
    assert main(["data", "pack", str(people), at["s"], *size, "--json", at["r.json"]]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["images"] == 8
    assert main(["data", "unpack", at["s"], at["u"]]) == 0
    assert main(["data", "shuffle", at["s"], at["h"], "--by", "identity"]) == 0
    assert main(["data", "merge", at["s"], at["h"], "--out", at["m"]]) == 0
    (tmp_path / "ids").write_text("0\n2\n")
    assert main(["data", "subset", at["m"], at["sub"], "--identities", str(tmp_path / "ids")]) == 0
    assert "identities   2" in capsys.readouterr().out
    assert main(["data", "verify", at["s"], at["sub"]]) == 0
    assert main(["data", "pack", at["s"], at["s"]]) == 2
    assert "--overwrite" in capsys.readouterr().err
