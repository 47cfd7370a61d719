import pickle
import struct
import threading
import zlib

import numpy as np
import pytest

from gluonface.data import RecordDataset, RecordWriter, images, rebuild_index
from gluonface.data.framing import MAGIC_BYTES, frame, pack, unpack
from gluonface.data.record_index import read_index
from gluonface.data.record_writer import EXACT
from gluonface.errors import DataError, GluonfaceError, InputError


def write(folder, payloads, keys=None, properties=None):
    """Write any payloads as a .rec and .idx pair, with none of RecordWriter's checks."""
    folder.mkdir(exist_ok=True)
    offsets, body = [], b""
    for payload in payloads:
        offsets.append(len(body))
        body += frame(payload)
    (folder / "train.rec").write_bytes(body)
    keys = range(len(payloads)) if keys is None else keys
    lines = "".join(f"{key}\t{offset}\n" for key, offset in zip(keys, offsets))
    (folder / "train.idx").write_text(lines)
    if properties is not None:
        (folder / "property").write_text(properties)
    return folder


def picture(seed=0, side=16):
    random = np.random.Generator(np.random.PCG64(seed))
    return random.integers(0, 256, (side, side, 3), dtype=np.uint8)


def png(seed=0, side=16):
    return images.encode(picture(seed, side), 101)


# --- what is written, read by us and by MXNet as InsightFace does


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


@pytest.mark.parametrize("gap", [0, 1, 2, 3, 8])
def test_magic_number_inside_an_image(made, tmp_path, gap):
    """Records that hold the magic number are stored in parts; MXNet and we join them."""
    from gluonface._compat import mx

    image = png()
    image += b"\0" * (-len(image) % 4 + gap) + MAGIC_BYTES * 2 + b"ab" + MAGIC_BYTES + b"c" * gap
    with RecordWriter(tmp_path / "set") as writer:
        writer.add(image, 0)
        writer.add(png(1), 1)
    dataset = RecordDataset(tmp_path / "set")
    assert dataset.read(0) == image
    assert dataset.read(1) == png(1)
    assert dataset.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(dataset[0][0], picture())
    stem = str(tmp_path / "set" / "train")
    record = mx.recordio.MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "r")
    assert mx.recordio.unpack(record.read_idx(1))[1] == image
    rebuild_index(f"{stem}.rec")
    assert RecordDataset(tmp_path / "set").read(1) == png(1)


def test_framing_equals_mxnet(tmp_path):
    from gluonface._compat import mx

    payloads = [
        b"",
        b"a",
        MAGIC_BYTES,
        MAGIC_BYTES * 3,
        b"abc" + MAGIC_BYTES,
        b"abcd" + MAGIC_BYTES,
    ]
    writer = mx.recordio.MXRecordIO(str(tmp_path / "theirs.rec"), "w")
    for payload in payloads:
        writer.write(payload)
    writer.close()
    ours = b"".join(frame(payload) for payload in payloads)
    assert ours == (tmp_path / "theirs.rec").read_bytes()


def test_header_equals_mxnet():
    from gluonface._compat import mx

    for label in (3.0, [5.0, 0.0]):
        theirs = mx.recordio.pack(mx.recordio.IRHeader(0, label, 7, 0), b"image")
        assert pack(label, 7, b"image") == theirs
        flag, value, data = unpack(theirs)
        assert (flag, data) == (np.size(label) if np.ndim(label) else 0, b"image")
        assert np.array_equal(value, label)


# --- other layouts


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


def test_index_lines_in_any_order(made):
    faces = made()
    index = faces.folder / "train.idx"
    lines = index.read_text().splitlines()
    np.random.Generator(np.random.PCG64(0)).shuffle(lines)
    index.write_text("\r\n".join(lines) + "\r\n\r\n")  # Windows line ends, a blank line
    dataset = RecordDataset(faces.folder)
    assert dataset.labels.tolist() == faces.labels.tolist()
    for i in (0, 13, 29):
        np.testing.assert_array_equal(dataset[i][0], faces.pixels[i])


def test_images_missing_from_the_index(made):
    faces = made()
    index = faces.folder / "train.idx"
    lines = index.read_text().splitlines()
    index.write_text("\n".join(lines[:3] + lines[5:]))  # images 2 and 3, keys 3 and 4
    dataset = RecordDataset(faces.folder)
    kept = [0, 1, *range(4, 30)]
    assert dataset.labels.tolist() == faces.labels[kept].tolist()
    np.testing.assert_array_equal(dataset[2][0], faces.pixels[4])


def test_num_classes_without_property(made):
    faces = made()
    (faces.folder / "property").unlink()
    dataset = RecordDataset(faces.folder)
    assert (dataset.num_classes, dataset.image_size) == (6, (16, 16))


@pytest.mark.parametrize("text", ["9,16,16\r\n", "9 16 16", "9;16;16", "\ufeff9, 16, 16\n"])
def test_property_with_other_separators(made, text):
    faces = made()
    (faces.folder / "property").write_text(text, encoding="utf-8")
    assert RecordDataset(faces.folder).num_classes == 9


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


def test_read_index_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("gluonface.data.record_index._CHUNK", 100)
    path = tmp_path / "a.idx"
    path.write_text("".join(f"{i}\t{i * 40}\n" for i in range(1000)))
    keys, offsets = read_index(path)
    assert keys is None
    assert np.array_equal(offsets, np.arange(1000) * 40)
    order = [*range(500), 999, *range(500, 999)]
    path.write_text("".join(f"{i}\t{i * 40}\n" for i in order)[:-1])  # no line end at the end
    keys, offsets = read_index(path)
    assert keys.tolist() == order
    assert np.array_equal(offsets, keys * 40)


def test_identity_numbers_beyond_float32(tmp_path):
    """Above 2**24 the header's numbers are rounded; the sizes of the records tell the truth."""
    low = EXACT + 3  # rounds to EXACT + 4
    payloads = [pack((low, low + 2), 0), pack(0.0, 1, png(1)), pack(1.0, low - 1, png(2))]
    payloads += [pack((1, 2), low), pack((low - 1, low), low + 1)]
    folder = write(tmp_path / "set", payloads, keys=[0, 1, low - 1, low, low + 1])
    dataset = RecordDataset(folder)
    assert len(dataset) == 2
    assert dataset.labels.tolist() == [0, 1]


# --- the writer


def test_writer_refuses(tmp_path):
    with RecordWriter(tmp_path / "set", num_classes=5) as writer:
        writer.add(png(), 3)
        writer.add(png(1), 1)
        for label in (-1, 0.5, 5, 1 << 24):
            with pytest.raises(InputError, match="whole number from 0 to 4"):
                writer.add(png(), label)
        with pytest.raises(InputError, match="label 3 comes back at image 2"):
            writer.add(png(), 3)
        with pytest.raises(InputError, match="20 x 20 pixels, those before it 16 x 16"):
            writer.add(png(side=20), 1)
        for data, reason in ((b"", "empty"), (b"hello there", "not a JPEG"), (png()[:99], "early")):
            with pytest.raises(InputError, match=reason):
                writer.add(data, 1)
    assert RecordDataset(tmp_path / "set").labels.tolist() == [
        3,
        1,
    ]  # what was refused is not in it
    with pytest.raises(InputError, match="no image was added"), RecordWriter(tmp_path / "none"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        RecordWriter(tmp_path / "file")


def test_failed_writer_leaves_the_old_set(made):
    faces = made()
    before = {path.name: path.read_bytes() for path in faces.folder.iterdir()}

    class Interrupted(Exception):
        pass

    def interrupted():
        with RecordWriter(faces.folder) as writer:
            writer.add(png(), 0)
            raise Interrupted

    with pytest.raises(Interrupted):
        interrupted()
    assert {path.name: path.read_bytes() for path in faces.folder.iterdir()} == before


def test_writer_killed_while_renaming_leaves_no_mix(made, monkeypatch):
    """Whichever rename is the last one, a reader finds the old set, an error or the new set."""
    import os

    replace = os.replace
    for allowed in range(4):
        faces = made(people=3, folder=f"killed{allowed}")
        calls = []

        def stopping(source, target, calls=calls, allowed=allowed):
            calls.append(target)
            if len(calls) > allowed:
                raise KeyboardInterrupt
            replace(source, target)

        monkeypatch.setattr(os, "replace", stopping)
        try:
            made(people=2, folder=f"killed{allowed}")
        except KeyboardInterrupt:
            with pytest.raises(DataError, match=r"train\.idx is missing"):
                RecordDataset(faces.folder)
        else:
            assert allowed == 3
            assert len(RecordDataset(faces.folder)) == 10
        monkeypatch.setattr(os, "replace", replace)


# --- files that are not what they should be: each error names file, record, value and remedy


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


def test_missing_index_is_rebuilt(made):
    faces = made()
    index = faces.folder / "train.idx"
    before = index.read_bytes()
    index.unlink()
    with pytest.raises(DataError, match=r"train\.idx is missing.*rebuild_index\('.*train\.rec'\)"):
        RecordDataset(faces.folder)
    assert rebuild_index(faces.folder / "train.rec") == 37
    assert index.read_bytes() == before


def test_rebuilt_index_of_a_plain_file(tmp_path):
    ids = [4, 2, 9]
    folder = write(tmp_path / "set", [pack(0.0, i, png(i)) for i in ids], keys=ids)
    before = (folder / "train.idx").read_bytes()
    (folder / "train.idx").unlink()
    assert rebuild_index(folder / "train.rec") == 3
    assert (folder / "train.idx").read_bytes() == before
    write(folder, [pack(0.0, 0, png(i)) for i in ids])  # ids that repeat say nothing
    rebuild_index(folder / "train.rec")
    assert read_index(folder / "train.idx")[0] is None


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


def test_index_lines_that_are_none(made):
    faces = made()
    index = faces.folder / "train.idx"
    lines = index.read_text().splitlines()
    for bad in ("x\t40", "3", "3\t40\t50", "3\t4.5", "3\t-40", "3\t99999999999999999999"):
        index.write_text("\n".join([*lines[:3], bad, *lines[4:]]) + "\n")
        with pytest.raises(DataError, match=r"train\.idx: (line 4 is|offset -?\d+ is outside)"):
            RecordDataset(faces.folder)
    index.write_text("\n".join([*lines, "5\t40"]) + "\n")
    with pytest.raises(DataError, match="key 5 is there twice"):
        RecordDataset(faces.folder)
    index.write_text("\n".join([*lines, f"99\t{lines[5].split()[1]}"]) + "\n")
    with pytest.raises(DataError, match="two keys have the offset"):
        RecordDataset(faces.folder)
    index.write_text("")
    with pytest.raises(DataError, match="is empty"):
        RecordDataset(faces.folder)


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


@pytest.mark.parametrize("text", ["", "6,112", "six,16,16", "6,16,16,1", "0,16,16", "-6,16,16"])
def test_wrong_property(made, text):
    faces = made()
    (faces.folder / "property").write_text(text)
    with pytest.raises(DataError, match=r"property holds .* num_classes,height,width was expected"):
        RecordDataset(faces.folder)


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


def resized_png(width, height):
    """A PNG that says it has other pixels, with the right checksum."""
    data = bytearray(png())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def test_images_that_are_none(tmp_path):
    jpeg = images.encode(picture(), 95)
    changed = bytearray(png())
    changed[60] ^= 1
    long = bytearray(png())
    long[33:37] = b"\x40\0\0\0"  # a chunk of 1 GB, for which OpenCV would make room
    cases = [
        (b"", "it is empty"),
        (b"GIF89a and so on", "not a JPEG, PNG, WebP or BMP"),
        (jpeg[:-40], "a JPEG that ends early"),
        (png()[:-40], "a PNG that ends early"),
        (png()[:-2], "a PNG that ends early"),
        (bytes(long), "a length in it is damaged"),
        (bytes(changed), "b'IDAT' chunk does not have the checksum"),
        (resized_png(20000, 20000), "20000 x 20000 pixels, more than"),
        (resized_png(8000, 8000), "too few for 8000 x 8000 pixels"),
        (b"\xff\xd8 nothing \xff\xd9", "OpenCV cannot decode it"),
    ]
    payloads = [pack(0.0, 0, png())] + [pack(0.0, i + 1, data) for i, (data, _) in enumerate(cases)]
    dataset = RecordDataset(write(tmp_path / "set", payloads))
    for i, (_, reason) in enumerate(cases, 1):
        with pytest.raises(DataError, match=rf"the image of record {i} cannot be used: .*{reason}"):
            dataset[i]


def test_sizes_without_decoding():
    from gluonface._compat import cv2

    image = np.zeros((30, 50, 3), np.uint8)
    for suffix in (".jpg", ".png", ".webp", ".bmp"):
        data = cv2.imencode(suffix, image)[1].tobytes()
        assert images.size(data) == (30, 50), suffix
        assert images.check(data) is None
        np.testing.assert_array_equal(images.decode(data), image)


def test_mutated_files_raise_only_our_errors(made, tmp_path):
    """Bytes changed, cut out and doubled in all three files: an answer or a GluonfaceError."""
    faces = made(people=3, each=2)
    names = ("train.rec", "train.idx", "property")
    whole = {name: (faces.folder / name).read_bytes() for name in names}
    random = np.random.Generator(np.random.PCG64(1))
    refused = []
    for round_ in range(200):
        name = names[round_ % 3] if round_ % 2 else "train.rec"
        data = mutate(whole[name], random)
        for other in names:
            (faces.folder / other).write_bytes(data if other == name else whole[other])
        try:
            dataset = RecordDataset(faces.folder)
            labels = dataset.labels
            assert len(labels) == len(dataset)
            assert 0 <= labels.min() <= labels.max() < dataset.num_classes
            for i in range(len(dataset)):
                image, label = dataset[i]
                assert image.shape == (*dataset.image_size, 3)
                assert 0 <= label < dataset.num_classes
        except GluonfaceError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(str(faces.folder) in message for message in refused)


def mutate(data, random):
    """Change a few bytes, or cut the end off, or take out or double a piece."""
    data = bytearray(data)
    kind, at = int(random.integers(5)), int(random.integers(len(data)))
    if kind == 0:
        return bytes(data[:at])
    length = int(random.integers(1, 40))
    if kind == 1:
        del data[at : at + length]
    elif kind == 2:
        data[at:at] = data[at : at + length]
    else:
        for _ in range(length if kind == 3 else 1):
            data[int(random.integers(len(data)))] = int(random.integers(256))
    return bytes(data)


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
