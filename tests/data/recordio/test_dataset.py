"""Training sets: what is in them, other layouts, and what contradicts itself."""

import struct

import numpy as np
import pytest
from record_files import picture, png, write

from gluonface.data import RecordDataset
from gluonface.data.recordio.record import frame, pack
from gluonface.data.recordio.writer import LABEL_LIMIT
from gluonface.errors import DataError, InputError


def test_written_set_comes_back(made):
    faces = made()
    dataset = RecordDataset(faces.folder)
    assert (len(dataset), dataset.num_classes, dataset.image_size) == (30, 6, (16, 16))
    assert dataset.labels.tolist() == faces.labels.tolist()
    for i, (image, label) in enumerate(dataset):
        np.testing.assert_array_equal(image, faces.pixels[i])
        assert image.dtype == np.uint8
        assert label == faces.labels[i]
        assert type(label) is int
        assert dataset.read(i) == faces.encoded[i]
    np.testing.assert_array_equal(dataset[-1][0], faces.pixels[-1])
    with pytest.raises(IndexError, match="images 0 to 29, not 30"):
        dataset[30]
    assert len(RecordDataset(faces.folder / "train.rec")) == 30


def test_mxnet_reads_what_we_write(made):
    """The walk that InsightFace's FaceImageIter makes through a file."""
    from gluonface._compat import mx

    faces = made(people=4, each=3)
    stem = str(faces.folder / "train")
    record = mx.recordio.MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "r")
    header, rest = mx.recordio.unpack(record.read_idx(0))
    assert header.flag == 2
    assert rest == b""
    first, end = int(header.label[0]), int(header.label[1])
    assert (first, end) == (13, 17)
    seen = []
    for identity in range(first, end):
        header, _ = mx.recordio.unpack(record.read_idx(identity))
        assert header.flag > 0
        for key in range(int(header.label[0]), int(header.label[1])):
            item, data = mx.recordio.unpack(record.read_idx(key))
            assert data == faces.encoded[key - 1]
            seen.append(int(item.label))
    assert seen == faces.labels.tolist()
    assert (faces.folder / "property").read_text() == "4,16,16\n"


def test_real_set(shared):
    dataset = RecordDataset(shared / "data" / "att")
    assert (len(dataset), dataset.num_classes, dataset.image_size) == (280, 28, (112, 112))
    assert np.bincount(dataset.labels).tolist() == [10] * 28
    assert [dataset.record(i)[0] for i in range(280)] == dataset.labels.tolist()
    image, _ = dataset[17]
    assert image.shape == (112, 112, 3)
    # grey photographs: the channels differ by no more than JPEG's colour rounding
    assert np.ptp(image.astype(int), axis=2).max() <= 4


def test_real_set_equals_mxnet(shared):
    from gluonface._compat import mx

    stem = shared / "data" / "att" / "train"
    record = mx.recordio.MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "r")
    dataset = RecordDataset(f"{stem}.rec")
    for i in (0, 1, 100, 279):
        header, data = mx.recordio.unpack(record.read_idx(i + 1))
        image, label = dataset[i]
        assert dataset.read(i) == data
        assert label == header.label
        # both decode with libjpeg-turbo, maybe of different versions
        expected = mx.image.imdecode(data).asnumpy().astype(int)
        assert np.abs(expected - image).max() <= 2


def test_plain_im2rec_file(tmp_path):
    """No header, no property, keys in any order: images come in the order of the index."""
    payloads = [pack(float(i % 3), i, png(i)) for i in range(7)]
    write(tmp_path / "set", payloads, keys=[4, 2, 9, 0, 1, 17, 3])
    dataset = RecordDataset(tmp_path / "set")
    assert (len(dataset), dataset.num_classes) == (7, 3)
    assert dataset.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    np.testing.assert_array_equal(dataset[5][0], picture(5))


def test_label_arrays(tmp_path):
    payloads = [pack([float(i), 77.5, -1.0], i, png(i)) for i in range(4)]
    dataset = RecordDataset(write(tmp_path / "set", payloads))
    assert dataset.labels.tolist() == [0, 1, 2, 3]
    assert dataset[3][1] == 3


def test_num_classes_without_property(made):
    faces = made()
    (faces.folder / "property").unlink()
    dataset = RecordDataset(faces.folder)
    assert (dataset.num_classes, dataset.image_size) == (6, (16, 16))


def test_grey_images_and_other_sizes(tmp_path):
    from gluonface._compat import cv2

    grey = cv2.imencode(".png", picture(side=20)[..., 0])[1].tobytes()
    folder = write(tmp_path / "set", [pack(0.0, 0, grey), pack(0.0, 1, png(1))])
    dataset = RecordDataset(folder)
    np.testing.assert_array_equal(dataset[0][0], picture(side=20)[..., :1].repeat(3, 2))
    with pytest.raises(DataError, match=r"record 1 .*16 x 16 pixels, 20 x 20 were expected"):
        dataset[1]
    resized = RecordDataset(folder, image_size=(16, 16))
    assert resized[0][0].shape == (16, 16, 3)
    np.testing.assert_array_equal(resized[1][0], picture(1))


@pytest.mark.parametrize("cache", [0, 1 << 20])
def test_load_writes_planes(made, cache):
    faces = made()
    dataset = RecordDataset(faces.folder, cache=cache)
    assert dataset.cached == (cache > 0)
    out = np.zeros((2, 3, 16, 16), np.uint8)
    for _ in range(2):  # decoded, then from memory
        for flip in (False, True):
            assert dataset.load(7, out[1], flip) == faces.labels[7]
            expected = faces.pixels[7][:, ::-1] if flip else faces.pixels[7]
            np.testing.assert_array_equal(out[1], expected.transpose(2, 0, 1))
    assert not out[0].any()


def test_identity_numbers_beyond_float32(tmp_path):
    """Above 2**24 the header's numbers are rounded; the sizes of the records tell the truth."""
    low = LABEL_LIMIT + 3  # rounds to LABEL_LIMIT + 4
    payloads = [pack((low, low + 2), 0), pack(0.0, 1, png(1)), pack(1.0, low - 1, png(2))]
    payloads += [pack((1, 2), low), pack((low - 1, low), low + 1)]
    folder = write(tmp_path / "set", payloads, keys=[0, 1, low - 1, low, low + 1])
    dataset = RecordDataset(folder)
    assert len(dataset) == 2
    assert dataset.labels.tolist() == [0, 1]


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="nowhere is not there"):
        RecordDataset(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no \.rec file"):
        RecordDataset(tmp_path)
    with pytest.raises(InputError, match=r"x\.rec: No such file"):
        RecordDataset(tmp_path / "x.rec")
    for name in ("a.rec", "b.rec"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"several \.rec files \(a\.rec, b\.rec\)"):
        RecordDataset(tmp_path)


def test_property_of_another_set(made):
    faces = made()
    (faces.folder / "property").write_text("5,16,16")
    with pytest.raises(DataError, match=r"property says 5 classes, .* 6 identity records"):
        RecordDataset(faces.folder)
    (faces.folder / "property").write_text("6,112,112")
    with pytest.raises(DataError, match="16 x 16 pixels, 112 x 112 were expected"):
        RecordDataset(faces.folder)[0]


@pytest.mark.parametrize("label", [-1.0, 0.5, 3.0, float("nan"), float("inf"), 1e30, [-1.0, 0.0]])
def test_labels_out_of_range(tmp_path, label):
    payloads = [pack(0.0, 0, png()), pack(label, 1, png(1))]
    dataset = RecordDataset(write(tmp_path / "set", payloads, properties="3,16,16"))
    dataset[0]
    message = r"record 1 has the label \S+; a whole number from 0 to 2 \(from property\)"
    with pytest.raises(DataError, match=message):
        dataset[1]
    with pytest.raises(DataError, match=message):
        dataset.labels  # noqa: B018


def test_headers_that_contradict_the_file(tmp_path):
    image = pack(0.0, 1, png())
    identity = pack((1, 2), 2)
    for header, rest, message in (
        (pack((0, 3), 0), [image, identity], r"names the identity records \[0.0, 3.0\]"),
        (pack((2, 1), 0), [image, identity], "names the identity records"),
        (pack((2.5, 3), 0), [image, identity], "names the identity records"),
        (pack((2, 3, 4), 0), [image, identity], "names the identity records"),
        (pack((float("nan"), 3), 0), [image, identity], "names the identity records"),
        (pack((2, 9), 0), [image, identity], r"train.idx has no record 8"),
        (pack((2, 4), 0), [image, identity, image], "record 3 should be the record of an identity"),
        (
            pack((2, 3), 0),
            [image, pack((1, 5), 2)],
            r"identity record 2 names the images \[1.0, 5.0",
        ),
        (pack((2, 3), 0), [image, pack((0, 2), 2)], "identity record 2 names"),
        (pack((2, 3), 0), [image, pack((2, 1), 2)], "identity record 2 names"),
        (pack((3, 5), 0), [image, image, pack((1, 3), 3), pack((2, 3), 4)], "records overlap"),
    ):
        with pytest.raises(DataError, match=message):
            RecordDataset(write(tmp_path / "set", [header, *rest]))
    assert len(RecordDataset(write(tmp_path / "set", [pack((2, 3), 0), image, identity]))) == 1
    with pytest.raises(DataError, match="record 0 is broken: its header announces 900 label"):
        RecordDataset(write(tmp_path / "set", [struct.pack("<IfQQ", 900, 0, 0, 0), image]))


@pytest.mark.slow
def test_seventeen_million_entries(tmp_path):
    """A sparse file of the size of WebFace42M's half opens in seconds and little memory."""
    import subprocess
    import sys

    count, size = 17_000_000, 6000
    image = frame(pack(0.0, 1, png()))
    with open(tmp_path / "train.rec", "wb") as file:
        file.write(frame(pack((count - 1, count), 0)))
        file.seek(size)
        file.write(image)
        file.seek((count - 1) * size)
        file.write(frame(pack((1, count - 1), count - 1)))
    with open(tmp_path / "train.idx", "w") as file:
        for start in range(0, count, 1_000_000):
            file.write("".join(f"{k}\t{k * size}\n" for k in range(start, start + 1_000_000)))
    (tmp_path / "property").write_text("1,16,16")
    code = (
        "import resource, sys, time\n"
        "from gluonface.data import RecordDataset\n"
        "begin = time.perf_counter()\n"
        "dataset = RecordDataset(sys.argv[1])\n"
        "seconds = time.perf_counter() - begin\n"
        "assert dataset[0][1] == 0\n"
        "print(len(dataset), seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(out[0]) == count - 2
    assert float(out[1]) < 10
    assert int(out[2]) < 500
