"""The readers of lists, tables, packs, records and pictures, for `mutations`."""

import io
import json
import pickle

import numpy as np
from mutations import Reader, json_text, members, npy, pickle_stream, table

from gluonface._compat import cv2
from gluonface.data import RecordDataset, RecordWriter, VerificationPack, images, synthesize
from gluonface.data.recordio import property_file
from gluonface.data.recordio.index import rebuild_index
from gluonface.data.samplers import _read_weights
from gluonface.data.sources import photo_folder
from gluonface.data.tools import inspect, stored_embeddings, transform_records
from gluonface.data.tools.journal import Journal, read_checked_json, write_checked_json
from gluonface.data.tools.resumable_writer import write_record_set
from gluonface.errors import DataError
from gluonface.evaluation.files import (
    embedding_cache,
    feature_files,
    ijb_lists,
    image_list,
    megaface_lists,
    text_tables,
)
from gluonface.evaluation.protocols import nist
from gluonface.training.callbacks import csv_files
from gluonface.training.config.recipes import load_config

RANDOM = np.random.Generator(np.random.PCG64(0))
FACES = [images.encode(RANDOM.integers(0, 256, (16, 16, 3), np.uint8), 101) for _ in range(6)]
POINTS = " ".join(str(5 * n) for n in range(10))


def text(content, name="x.txt"):
    """Return what writes a text file."""

    def make(folder):
        (folder / name).write_text(content, encoding="utf-8")
        return folder / name

    return make


def saved(save, *arrays, name="x.npz", **named):
    """Return what writes a file of NumPy's."""

    def make(folder):
        stream = io.BytesIO()
        save(stream, *arrays, **named)
        (folder / name).write_bytes(stream.getvalue())
        return folder / name

    return make


# --- record sets


def record_set(name):
    """Return what writes a set of records and returns the path of one of its files."""

    def make(folder):
        with RecordWriter(folder) as writer:
            for number, image in enumerate(FACES):
                writer.add(image, number // 2)
        return folder / name

    return make


def read_set(path):
    dataset = RecordDataset(path.parent)
    for number in range(len(dataset)):
        try:
            dataset[number]
        except DataError as error:  # of one image; the others can be used
            if not str(error).startswith(str(path.parent)):
                raise
    return inspect.inspect_records(path.parent, progress=False)


def fields(data, rng):
    """Overwrite an aligned number of four bytes, as frames and labels hold them."""
    data = bytearray(data)
    value = rng.choice((0, 1, 2, 3 << 29, 7 << 29, 0x7FC00000, 0x7F800000, 0xBF800000, 2**32 - 1))
    if rng.random() < 0.5:  # one that a frame or a header begins with
        starts = [n for n in range(0, len(data) - 40, 4) if data[n : n + 4] == b"\x0a\x23\xd7\xce"]
        place = rng.choice(starts) + 4 * rng.randrange(9)
    else:
        place = 4 * rng.randrange(len(data) // 4)
    data[place : place + 4] = value.to_bytes(4, "little")
    return bytes(data)


def rebuilt(path):
    rebuild_index(path)
    return RecordDataset(path.parent)


# --- packs


def pack(folder):
    VerificationPack(FACES[:4], [True, False]).save(folder / "x.bin")
    return folder / "x.bin"


def foreign_pack(folder):
    arrays = [np.frombuffer(face, np.uint8) for face in FACES[:4]]
    (folder / "x.bin").write_bytes(pickle.dumps((arrays, [np.True_, np.False_]), 2))
    return folder / "x.bin"


def read_pack(path):
    inspect.inspect_pack(path)
    found = VerificationPack.load(path)
    for number in range(len(found)):
        try:
            found.images(number)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error


# --- pictures


def picture(suffix):
    def make(folder):
        image = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (24, 20, 3), np.uint8)
        (folder / f"x{suffix}").write_bytes(cv2.imencode(suffix, image)[1].tobytes())
        return folder / f"x{suffix}"

    return make


def read_picture(path):
    return image_list.ImageList(path.parent, [path.name], resize=True).read(0)


def headers(data, rng):
    """Overwrite one number of the first hundred bytes, where pictures say what they are."""
    data = bytearray(data)
    size = rng.choice((1, 2, 2, 4, 4))
    value = rng.choice((0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)) % 256**size
    place = rng.randrange(100)
    data[place : place + size] = value.to_bytes(size, rng.choice(("little", "big")))
    return bytes(data)


# --- states of work


def journal(folder):
    with Journal(folder / "x.jsonl", {"a": 1}) as found:
        for name in ("a.jpg", "b.jpg"):
            found[name] = {"crops": [name]}
    return folder / "x.jsonl"


def checked(data, rng):
    """Change the JSON of a line and give it the right checksum: whoever writes one can do so."""
    lines = data.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    changed = json_text(lines[place].split(b" ", 1)[1], rng)
    import zlib

    lines[place] = b"%08x %s\n" % (zlib.crc32(changed), changed)
    return b"".join(lines)


def open_journal(path):
    """Open a journal as `align_photos` does, and as one with other settings."""
    for settings in ({"a": 1}, {"a": 2}):
        with Journal(path, settings) as found:
            list(found.items())


def unfinished(folder):
    """A set whose writing was interrupted."""

    def load(number):
        if number == 3:
            raise KeyboardInterrupt
        return FACES[number]

    try:
        _write(folder, load)
    except KeyboardInterrupt:
        return folder / ".writing.json"
    raise RuntimeError("it was not interrupted")


def _write(folder, load):
    write_record_set(
        folder, [0, 0, 1, 1, 2, 2], load, {"x": 1}, workers=1, overwrite=True, progress=False
    )


def go_on(path):
    part = path.parent / ".train.rec.part"
    _write(path.parent, FACES.__getitem__)
    read_checked_json(path)
    return part.exists()


# --- results and caches


class Images:
    """Two images for the cache of embeddings."""

    names = ("a", "b")

    def __len__(self):
        return 2

    def read(self, number):
        return images.decode(FACES[number])

    def key(self):
        return "key"


class Pixels:
    """An embedder whose embeddings are the first pixels."""

    embedding_size = 4

    def embed_views(self, batch, batch_size):
        flat = batch.reshape(len(batch), -1)[:, :4].astype(np.float32)
        return flat, flat[:, ::-1]


def cached(folder):
    embedding_cache.embed_images(Pixels(), Images(), folder, "model")
    return next(folder.rglob("part-*.npz"))


def use_cache(path):
    return embedding_cache.embed_images(Pixels(), Images(), path.parents[1], "model")


def inspected(folder):
    """What `inspect_records` keeps of finished work."""
    write_checked_json(folder / "x.json", {"settings": {"a": 1}, "next": 2})
    return folder / "x.json"


def metrics(folder):
    rows = [",".join(csv_files.METRICS)]
    rows += [",".join("1" for _ in csv_files.METRICS) for _ in range(3)]
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n")
    return folder / "metrics.csv"


FEW = {"identities": 2, "images": 2, "test_identities": 20, "pairs": 20, "workers": 1}


def synthetic(folder):
    synthesize(folder / "set", **FEW)
    return folder / "set" / "synthetic.json"


def load_all(path):
    found = feature_files.load_features(path)
    return found.in_order_of(["a", "b", "c"], "the list") if found.names is not None else found


def config(path):
    return load_config(file=path)


IDS = "a/1.jpg 1 5\na/2.jpg 1 6\nb/1.jpg 2 7\n"
FIVE = "".join(f"{line.split()[0]} {POINTS} 0.9\n" for line in IDS.splitlines())


def ijb_points(path):
    media = path.parent / "tid.txt"
    media.write_text(IDS)
    return ijb_lists.read_images(media, path)


READERS = {
    "records": Reader(record_set("train.rec"), read_set, fields),
    "records without index": Reader(record_set("train.rec"), rebuilt, fields),
    "index": Reader(record_set("train.idx"), read_set, table),
    "property": Reader(
        text("85742,112,112\n", "property"), property_file.read_property, table
    ),
    "pack": Reader(pack, read_pack, pickle_stream),
    "pack of others": Reader(foreign_pack, read_pack, pickle_stream),
    "jpeg": Reader(picture(".jpg"), read_picture, headers),
    "png": Reader(picture(".png"), read_picture, headers),
    "webp": Reader(picture(".webp"), read_picture, headers),
    "bmp": Reader(picture(".bmp"), read_picture, headers),
    "landmarks": Reader(
        text(f"a b.jpg {POINTS}\nb,{POINTS.replace(' ', ',')},0.9\n"),
        photo_folder.read_landmarks, table,
    ),
    "json landmarks": Reader(
        text(json.dumps({"a.jpg": [[n, n] for n in range(5)]}), "x.json"),
        photo_folder.read_landmarks, json_text,
    ),
    "identities": Reader(
        text("identity,was\n0,7\n5, ann\n17\n"), transform_records.read_identities, table
    ),
    "map": Reader(
        text("set,identity,set,identity\n1,0,0,3\n1,2,0,4,0.9\n"),
        transform_records.read_identity_map, table,
    ),
    "class weights": Reader(
        saved(np.save, np.ones(9), name="x.npy"), lambda path: _read_weights(str(path)), npy
    ),
    "centres": Reader(
        saved(np.save, np.ones((3, 4), "f4"), name="x.npy"), stored_embeddings.load_centers, npy
    ),
    "embeddings": Reader(
        saved(np.savez, embedding=np.ones((3, 4), "f4"), label=np.arange(3)),
        lambda path: stored_embeddings.load_embeddings(path, np.arange(3)),
        members({".npy": npy}),
    ),
    "features": Reader(
        saved(np.savez, e=np.ones((3, 4)), f=np.ones((3, 4), "f4"), path=np.array(["a", "b", "c"])),
        load_all, members({".npy": npy}),
    ),
    "mapped features": Reader(
        saved(np.save, np.ones((3, 4), "f4"), name="x.npy"), feature_files.load_features, npy
    ),
    "megaface features": Reader(
        lambda folder: feature_files.write_bin(folder / "x.bin", np.ones(8)) or folder / "x.bin",
        feature_files.read_bin, headers,
    ),
    "megaface probes": Reader(
        text(json.dumps({"path": ["a/1.jpg", "b/1.jpg"], "id": ["a", "b"]}), "x.json"),
        megaface_lists.read_probes, json_text,
    ),
    "megaface distractors": Reader(
        text(json.dumps({"path": ["a/1.jpg", "b/1.jpg"]}), "x.json"),
        megaface_lists.read_distractors, json_text,
    ),
    "noise": Reader(text("1\ta/1.jpg\n# c\nb.jpg\n"), megaface_lists.read_noise, table),
    "ijb media": Reader(text(IDS), ijb_lists.read_images, table),
    "ijb points": Reader(text(FIVE), ijb_points, table),
    "ijb pairs": Reader(text("1 2 1\n1 3 0\n2 3 0\n"), ijb_lists.read_pairs, table),
    "ijb gallery": Reader(
        text("TEMPLATE_ID,SUBJECT_ID,FILE\n1,5,a.jpg\n2,6,b.jpg\n"),
        text_tables.read_template_subjects, table,
    ),
    "image list": Reader(
        text("a/1.jpg\tann\nb.jpg\tbob\n"),
        lambda path: image_list.read_list(path, 2, "image, person"), table,
    ),
    "scores": Reader(text("0.5\t1\tg\n-1e3\t0\th\nfail\t1\tg\n"), nist.read_scores, table),
    "cache": Reader(cached, use_cache, members({".npy": npy})),
    "journal": Reader(journal, open_journal, checked),
    "unfinished set": Reader(unfinished, go_on, checked),
    "checked state": Reader(inspected, read_checked_json, checked),
    "synthetic": Reader(
        synthetic, lambda path: synthesize(path.parent, **FEW), json_text
    ),
    "metrics": Reader(metrics, lambda path: csv_files.read_rows(path, csv_files.METRICS), table),
    "config": Reader(
        text(json.dumps({"model": {"name": "mobilefacenet"}, "optimizer": {"lr": 0.1},
                         "train": {"epochs": 3}, "head": {"sample_rate": 0.1}}), "x.yaml"),
        config, json_text,
    ),
}  # fmt: skip
