"""The same faces in every form in which people hold them."""

import io
import json
import struct
import tarfile
import zipfile

import numpy as np
from record_files import png

from gluonface.data import RecordWriter
from gluonface.data.formats.crc32c import masked_crc32c

FACES = [(person, png(seed)) for seed, person in enumerate(["p10", "p2", "p10", "p2", "p3"])]


def folders(path, faces=FACES, group=""):
    for number, (person, data) in enumerate(faces):
        folder = path / group / person
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(data)
    return path


def zipped(path, faces=FACES, above=""):
    path = path.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (person, data) in enumerate(faces):
            archive.writestr(f"{above}{person}/{number}.png", data)
    return path


def add(archive, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def tarred(path, faces=FACES, mode="w", suffix=".tar"):
    path = path.with_suffix(suffix)
    with tarfile.open(path, mode) as archive:
        for number, (person, data) in enumerate(faces):
            add(archive, f"./{person}/{number}.png", data)
    return path


def tar_gz(path, faces=FACES):
    return tarred(path, faces, "w:gz", ".tar.gz")


def tar_xz(path, faces=FACES):
    return tarred(path, faces, "w:xz", ".tar.xz")


def webdataset(path, faces=FACES, mode="w", label=lambda person: ("cls", person.encode())):
    path = path.with_suffix(".tar")
    with tarfile.open(path, mode) as archive:
        for number, (person, data) in enumerate(faces):
            suffix, text = label(person)
            add(archive, f"{number:08d}.{suffix}", text)
            add(archive, f"{number:08d}.png", data)
    return path


def webdataset_gz(path, faces=FACES):
    return webdataset(path, faces, "w:gz")


def table(faces=FACES, classes=None):
    import pyarrow as pa

    image = pa.array(
        [{"bytes": data, "path": "x.png"} for _, data in faces],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    if classes is None:
        return pa.table({"image": image, "person": [person for person, _ in faces]})
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": classes}}
    labels = pa.array([classes.index(person) for person, _ in faces], pa.int64())
    made = pa.table({"image": image, "label": labels})
    text = json.dumps({"info": {"features": features}})
    return made.replace_schema_metadata({"huggingface": text})


def parquet(path, faces=FACES, classes=("p3", "p2", "p10"), group=2):
    import pyarrow.parquet as pq

    path = path.with_suffix(".parquet")
    pq.write_table(table(faces, classes and list(classes)), path, row_group_size=group)
    return path


def arrow(path, faces=FACES):
    """Write what `save_to_disk` writes, its second file first."""
    import pyarrow as pa

    path.mkdir()
    names = []
    for number, part in enumerate((faces[:2], faces[2:])):
        names.append(f"data-{1 - number:05d}-of-00002.arrow")
        made = table(part, ["p3", "p2", "p10"])
        file = pa.OSFile(str(path / names[-1]), "wb")
        with file, pa.ipc.new_stream(file, made.schema) as writer:
            writer.write_table(made, max_chunksize=2)
    state = {"_data_files": [{"filename": name} for name in names], "_split": "train"}
    (path / "state.json").write_text(json.dumps(state))
    features = json.loads(made.schema.metadata[b"huggingface"])["info"]["features"]
    (path / "dataset_info.json").write_text(json.dumps({"features": features}))
    return path


def numbered(faces):
    """Return the faces with a number for each name, as forms without names have it."""
    return [(int(person[1:]), data) for person, data in faces]


def write_lmdb(path, entries, folder=False):
    import lmdb

    environment = lmdb.open(str(path), map_size=1 << 24, subdir=folder)
    with environment.begin(write=True) as transaction:
        for key, value in entries.items():
            transaction.put(key, value)
    environment.close()
    return path


def lmdb_entries(faces=FACES, old=False):
    import msgpack

    keys = [str(number).encode() for number in range(len(faces))]
    values = [[data, label] for label, data in numbered(faces)]
    classes = 1 + max(label for _, label in values)
    packed = {key: msgpack.packb(value, use_bin_type=not old) for key, value in zip(keys, values)}
    for key, value in (("keys", keys), ("len", len(keys)), ("classnum", classes)):
        packed[f"__{key}__".encode()] = msgpack.packb(value, use_bin_type=not old)
    return packed


def lmdb_file(path, faces=FACES):
    return write_lmdb(path.with_suffix(".lmdb"), lmdb_entries(faces))


def field(number, data):
    """Return a field of a protobuf message."""
    size, head = len(data), bytes([number << 3 | 2])
    while size > 127:
        head += bytes([size & 127 | 128])
        size >>= 7
    return head + bytes([size]) + data


def example(**features):
    """Return a tf.train.Example; a name may have a slash in place of two underscores."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            feature = field(1, field(1, value))
        else:
            digits, rest = b"", value
            while rest > 127:
                digits, rest = digits + bytes([rest & 127 | 128]), rest >> 7
            feature = field(3, field(1, digits + bytes([rest])))
        entries += field(1, field(1, name.replace("__", "/").encode()) + field(2, feature))
    return field(1, entries)


def framed(data):
    head = struct.pack("<Q", len(data))
    return b"".join(
        [head, struct.pack("<I", masked_crc32c(head)), data, struct.pack("<I", masked_crc32c(data))]
    )


def tfrecord(path, faces=FACES):
    path = path.with_suffix(".tfrecord")
    made = (example(image__encoded=data, image__source_id=k) for k, data in numbered(faces))
    path.write_bytes(b"".join(map(framed, made)))
    return path


def tface(path, faces=FACES):
    """Write TFace's layout: the records have no label, the list beside them has."""
    (path.parent / "toy").mkdir()
    lines = []
    records = [b"", b""]
    for number, (label, data) in enumerate(numbered(faces)):
        shard = number % 2
        lines.append(f"toy\t{shard}\t{len(records[shard])}\t{label}\n")
        records[shard] += framed(example(image=data))
    for shard, data in enumerate(records):
        (path.parent / "toy" / f"toy-{shard:05d}.tfrecord").write_bytes(data)
    path = path.with_suffix(".txt")
    path.write_text("".join(lines))
    return path


def list_file(path, faces=FACES):
    folders(path, faces)
    lines = [f"{person}/{n}.png\tPerson {person[1:]}\n" for n, (person, _) in enumerate(faces)]
    (path / "faces.txt").write_text("".join(lines))
    return path / "faces.txt"


def records(path, faces=FACES):
    with RecordWriter(path) as writer:
        for label, data in sorted(numbered(faces), key=lambda item: item[0]):
            writer.add(data, label)
    return path


# Form -> (writer, name of the person p2 in it, whether the order of the faces is kept).
FORMS = {
    "folders": (folders, "p2", False),
    "zip": (zipped, "p2", True),
    "tar": (tarred, "p2", True),
    "tar.gz": (tar_gz, "p2", True),
    "tar.xz": (tar_xz, "p2", True),
    "webdataset": (webdataset, "p2", True),
    "webdataset.gz": (webdataset_gz, "p2", True),
    "parquet": (parquet, "p2", True),
    "arrow": (arrow, "p2", True),
    "lmdb": (lmdb_file, "2", True),
    "tfrecord": (tfrecord, "2", True),
    "tface": (tface, "2", True),
    "list": (list_file, "Person 2", True),
    "records": (records, "2", False),
}
TABLES = {"parquet", "arrow", "lmdb"}  # whose tests need the extra `formats`


def faces_of(count, seed=0, side=112):
    """Return many faces of random pixels: `count` images of 10 each."""
    random = np.random.Generator(np.random.PCG64(seed))
    from gluonface.data import images

    pictures = [random.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(20)]
    encoded = [images.encode(picture) for picture in pictures]
    return [(f"p{number // 10}", encoded[number % 20]) for number in range(count)]
