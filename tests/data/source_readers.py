"""Every form of faces, for the harness of damaged files (`mutations`)."""

import gzip
import io
import json
import struct
import tarfile

import face_forms
import mutations
from face_forms import FACES, framed

from gluonface.data import images
from gluonface.data.sources import open_source
from gluonface.errors import DataError

VALUES = (0, 1, 2, 3, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0xFFFFFFFF, 1 << 31, 1 << 40, (1 << 63) - 1)


def read(path, **options):
    """Open what lies there and decode every image; a broken image is left out by `pack`."""
    source = open_source(path, **options)
    for index in range(len(source)):
        source.identity(index)
        source.group(index)
        source.relative_name(index)
        try:
            images.decode(source.read(index))
        except DataError:
            source.name(index)
    source.ignored()
    source.stamp()


def make(form):
    """Return what writes a form into a folder."""
    return lambda folder: form(folder / "x")


def number(data, at, form, rng):
    """Put another number at a place."""
    data = bytearray(data)
    size = struct.calcsize(form)
    value = rng.choice((*VALUES, rng.getrandbits(64))) % (1 << 8 * size)
    struct.pack_into(form, data, at, value)
    return bytes(data)


def tar_headers(data, rng):
    """Change a field of a header, and make its sum right again."""
    places = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
    block = bytearray(data[(at := rng.choice(places)) : at + 512])
    kind = rng.randrange(6)
    if kind == 0:  # another type: links, devices, long names, PAX, sparse, what there is not
        block[156:157] = rng.choice((b"1", b"2", b"3", b"5", b"L", b"K", b"x", b"g", b"S", b"Z"))
    elif kind == 1:
        size = rng.choice((0, 1, 511, 513, 1 << 20, (1 << 33) - 1))
        block[124:136] = rng.choice((b"%011o\0" % size, b"\x80" + rng.randbytes(11), b"x" * 12,
                                     b"\xff" * 12, b"-0000000001\0"))  # fmt: skip
    elif kind == 2:
        name = rng.choice((b"", b"/etc/x.png", b"../x.png", b"\xff\xfe/x.png", b"a" * 100, b"./"))
        block[:100] = name.ljust(100, b"\0")
    elif kind == 3:
        block[157:257] = rng.choice((b"x", b"../../x", b"\xff" * 100)).ljust(100, b"\0")
        block[156:157] = rng.choice((b"1", b"2"))
    elif kind == 4:
        block[257:265] = rng.choice((b"ustar  \0", b"ustar\x0000", bytes(8)))
    else:
        place = rng.randrange(512)
        block[place] ^= 1 << rng.randrange(8)
    if kind < 5 or rng.random() < 0.5:
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return data[:at] + bytes(block) + data[at + 512 :]


def tar_members(data, rng):
    """Change the content of a member, or headers."""
    if rng.random() < 0.5:
        return tar_headers(data, rng)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        parts = [(m.name, archive.extractfile(m).read()) for m in archive if m.isfile()]
    place, kind = rng.randrange(len(parts)), rng.randrange(5)
    name, content = parts[place]
    if kind == 0:
        parts.insert(place, parts[rng.randrange(len(parts))])
    elif kind == 1:
        del parts[place]
    elif kind == 2:
        parts[place] = (
            rng.choice((name + "x", "../" + name, name.upper(), "a/" * 400 + name)),
            content,
        )
    elif kind == 3:
        suffix = rng.choice((".cls", ".json", ".txt", ".id", ".cls.txt", ".png", ".jpg"))
        parts.insert(place + 1, (name.rpartition(".")[0] + suffix, b"7"))
    else:
        text = rng.choice((*mutations.TEXTS, *mutations.NUMBERS, mutations.DEEP))
        parts[place] = (name, text.encode("utf-8", "surrogatepass"))
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in parts:
            face_forms.add(archive, name, content)
    return stream.getvalue()


def in_gzip(change):
    def changed(data, rng):
        inner = change(gzip.decompress(data), rng)
        packed = gzip.compress(inner, 1)
        return packed if rng.random() < 0.9 else packed + packed

    return changed


def zip_headers(data, rng):
    """Change numbers of the directory or of a member's own header."""
    if rng.random() < 0.4:
        return mutations.members({".png": mutations.some_bytes})(data, rng)
    magic = rng.choice((b"PK\x01\x02", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"))
    places = [at for at in range(len(data) - 46) if data[at : at + 4] == magic]
    at = rng.choice(places or [max(0, data.rfind(b"PK\x05\x06"))])
    length = {b"PK\x01\x02": 46, b"PK\x03\x04": 30}.get(magic, 20)
    form = rng.choice(("<H", "<I"))
    place = rng.randrange(4, length - 3)
    return number(data, min(at + place, len(data) - 4), form, rng)


def lmdb_pages(data, rng):
    """Change numbers in the heads of pages, in entries, or in their places."""
    page = rng.choice([at for at in range(0, len(data), 4096)])
    place = rng.choice((rng.randrange(0, 160), rng.randrange(0, 160), rng.randrange(0, 4090)))
    changed = number(data, page + place // 2 * 2, rng.choice(("<H", "<H", "<I", "<Q")), rng)
    return changed if rng.random() < 0.7 else lmdb_pages(changed, rng)


def lmdb_values(data, rng):
    """Change the MessagePack of an entry, or pages."""
    if rng.random() < 0.5:
        return lmdb_pages(data, rng)
    import pathlib
    import tempfile

    entries = face_forms.lmdb_entries()
    key = rng.choice(list(entries))
    value = entries[key]
    entries[key] = rng.choice(
        (
            value[: rng.randrange(len(value))],
            value + b"\x01",
            bytes([rng.randrange(256)]) + value[1:],
            value[:1] + bytes([rng.randrange(256)]) + value[2:],
            value[:-1]
            + rng.choice((b"\xff", b"\xcd\xff\xff", b"\xcf" + b"\xff" * 8, b"\xc0", b"\x90")),
            b"\xdd" + b"\xff" * 4,
            b"\xc6" + b"\xff" * 4,
            b"\x91" * 5000,
            b"\x80\x04cos\nsystem\n.",
            b"",
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        return face_forms.write_lmdb(pathlib.Path(folder) / "x", entries).read_bytes()


def tail_of(data, rng):
    """Change bytes of the part at the end of a Parquet file that says where all else is."""
    length = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - length
    footer = bytearray(data[start:-8])
    for _ in range(rng.choice((1, 1, 1, 4))):
        place = rng.randrange(len(footer))
        kind = rng.randrange(4)
        if kind == 0:
            footer[place] = rng.randrange(256)
        elif kind == 1:
            footer[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            footer[place : place + 1] = bytes([rng.choice((0x80, 0xFF)), *rng.randbytes(2)])
        else:
            del footer[place]
    return data[:start] + bytes(footer) + len(footer).to_bytes(4, "little") + b"PAR1"


def page_heads(data, rng):
    """Change bytes before the pages of a Parquet file, or its end."""
    if rng.random() < 0.6:
        return tail_of(data, rng)
    data = bytearray(data)
    place = 4 + rng.randrange(60) if rng.random() < 0.5 else rng.randrange(len(data) // 2)
    data[place] = rng.randrange(256)
    return bytes(data)


def arrow_messages(data, rng):
    """Change numbers in the messages of an Arrow stream."""
    places = [at for at in range(0, len(data) - 8, 8) if data[at : at + 4] == b"\xff" * 4]
    at = rng.choice(places)
    length = int.from_bytes(data[at + 4 : at + 8], "little") or 8
    place = at + rng.randrange(4, min(8 + length, len(data) - at - 8))
    if rng.random() < 0.2:  # offsets of the values
        place = rng.randrange(0, len(data) - 8) // 4 * 4
    return number(data, place, rng.choice(("<B", "<H", "<I", "<Q")), rng)


def tf_examples(data, rng):
    """Change the protobuf of a record, with right sums; or the order and number of records."""
    at, records = 0, []
    while at < len(data):
        length = struct.unpack_from("<Q", data, at)[0]
        records.append(data[at + 12 : at + 12 + length])
        at += 16 + length
    place, kind = rng.randrange(len(records)), rng.randrange(10)
    if kind == 0:
        del records[place]
    elif kind == 1:
        records.insert(0, records[place])
    elif kind == 2:
        records[place] = b""
    else:
        records[place] = mutations.protobuf(records[place], rng)
    return b"".join(map(framed, records))


def tface_of(name):
    def written(folder):
        path = face_forms.tface(folder / "x")
        return path if name is None else folder / "toy" / name

    return written


def chunks(folder):
    for n in range(2):
        face_forms.records(folder / "made", FACES[n : n + 3])
        for suffix in ("rec", "idx"):
            (folder / "made" / f"train.{suffix}").rename(folder / f"train_{n}.{suffix}")
    (folder / "property").write_text("11,16,16\n")
    return folder / "train_1.rec"


def words(data, rng):
    """Change a 32-bit word."""
    return number(data, rng.randrange(0, len(data) - 8) // 4 * 4, "<I", rng)


def saved(name):
    def written(folder):
        face_forms.arrow(folder / "x")
        return folder / "x" / name

    return written


def listed(folder):
    face_forms.folders(folder, FACES)
    lines = [f"{person}/{n}.png,{person},x\n" for n, (person, _) in enumerate(FACES)]
    (folder / "faces.csv").write_text("path,identity,group\n" + "".join(lines))
    return folder / "faces.csv"


def in_folder(path):
    read(path.parent)


def of_tface(path):
    read(path.parent.parent / "x.txt")


def samples(label):
    return lambda folder: face_forms.webdataset(folder / "x", label=label)


def json_label(person):
    return "json", json.dumps({"label": person}).encode()


def property_file(folder):
    face_forms.records(folder / "x")
    (folder / "x" / "property").write_text("11,16,16\n5\n")
    return folder / "x" / "property"


Reader = mutations.Reader
READERS = {
    "zip": Reader(make(face_forms.zipped), read, zip_headers),
    "tar": Reader(make(face_forms.tarred), read, tar_members),
    "tar in gzip": Reader(make(face_forms.tar_gz), read, in_gzip(tar_members)),
    "tar in xz": Reader(make(face_forms.tar_xz), read, mutations.some_bytes),
    "webdataset": Reader(make(face_forms.webdataset), read, tar_members),
    "webdataset of json": Reader(samples(json_label), read, tar_members),
    "webdataset in gzip": Reader(make(face_forms.webdataset_gz), read, in_gzip(tar_members)),
    "parquet": Reader(make(face_forms.parquet), read, page_heads),
    "parquet of text": Reader(
        lambda folder: face_forms.parquet(folder / "x", classes=None), read, page_heads
    ),
    "arrow": Reader(saved("data-00000-of-00002.arrow"), in_folder, arrow_messages),
    "state.json": Reader(saved("state.json"), in_folder, mutations.json_text),
    "dataset_info.json": Reader(saved("dataset_info.json"), in_folder, mutations.json_text),
    "lmdb": Reader(make(face_forms.lmdb_file), read, lmdb_values),
    "tfrecord": Reader(make(face_forms.tfrecord), read, tf_examples),
    "tface": Reader(tface_of(None), read, mutations.table),
    "records of tface": Reader(tface_of("toy-00001.tfrecord"), of_tface, tf_examples),
    "list": Reader(make(face_forms.list_file), read, mutations.table),
    "list with a header": Reader(listed, read, mutations.table),
    "chunk of records": Reader(chunks, in_folder, words),
    "property of two lines": Reader(property_file, in_folder, mutations.table),
}
