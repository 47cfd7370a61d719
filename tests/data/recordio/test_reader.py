"""Reading records from a file: cut short, damaged, by many threads."""

import pickle
import struct
import threading

import pytest

from gluonface.data import RecordDataset, rebuild_index
from gluonface.data.recordio.index import read_index
from gluonface.errors import DataError


def test_threads_and_pickled_copies_share_nothing(made):
    faces = made(people=10, each=10)
    dataset = pickle.loads(pickle.dumps(RecordDataset(faces.folder)))
    wrong = []

    def read(start):
        for i in range(start, 300 + start):
            image, label = dataset[i % 100]
            if label != faces.labels[i % 100] or (image != faces.pixels[i % 100]).any():
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(start,)) for start in (0, 33, 66)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_truncated_rec(made):
    faces = made()
    rec = faces.folder / "train.rec"
    whole = rec.read_bytes()
    rec.write_bytes(whole[:-2000])
    with pytest.raises(DataError, match=r"train\.idx: offset \d+ is outside train\.rec"):
        RecordDataset(faces.folder)
    with pytest.raises(DataError, match=r"no whole record at byte \d+ of \d+"):
        rebuild_index(rec)
    rec.write_bytes(whole[:-4])
    with pytest.raises(
        DataError, match=r"record 36 at byte \d+ .*before the next record or the end"
    ):
        RecordDataset(faces.folder)
    rec.write_bytes(b"")
    with pytest.raises(DataError, match="outside"):
        RecordDataset(faces.folder)


def test_file_cut_after_it_was_opened(made):
    faces = made()
    dataset = RecordDataset(faces.folder)
    with open(faces.folder / "train.rec", "r+b") as file:
        file.truncate(5000)
    with pytest.raises(DataError, match=r"record 30 at byte .* is cut short"):
        dataset[29]


def test_wrong_magic_and_length(made):
    faces = made()
    rec = faces.folder / "train.rec"
    _, offsets = read_index(faces.folder / "train.idx")
    whole = bytearray(rec.read_bytes())
    whole[offsets[8] : offsets[8] + 4] = b"JUNK"
    whole[offsets[9] + 4 : offsets[9] + 8] = struct.pack("<I", 100_000)
    whole[offsets[10] + 4 : offsets[10] + 8] = struct.pack("<I", 5)
    whole[offsets[11] + 7] |= 3 << 5  # the last part of nothing
    whole[offsets[12] + 7] |= 1 << 5  # the first of no more parts
    rec.write_bytes(whole)
    dataset = RecordDataset(faces.folder)
    for index, reason in (
        (7, r"starts with b'JUNK' and not with RecordIO's magic number"),
        (8, "says it has 100000 bytes"),
        (9, "its 5 bytes are fewer than the 24 of a header"),
        (10, "is the middle of one that was cut in parts"),
        (11, "parts|cut short"),
    ):
        with pytest.raises(DataError, match=rf"train\.rec: record {index + 1} .*({reason})"):
            dataset[index]
    dataset[12]
