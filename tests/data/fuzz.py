"""The child process of test_fuzz.py: 1,000 damaged files for each reader, and what became of them.

What nothing in a file contradicts is not found, and is said at its reader in `READERS`: another
label in a file whose writer leaves no checksums, another pixel of a JPEG, a typing error in a list.
"""

import collections
import io
import json
import os
import pathlib
import pickle
import sys

import numpy as np

from gluonface._compat import cv2
from gluonface.data import RecordDataset, RecordWriter, VerificationPack, images
from gluonface.data.alignment import TEMPLATE
from gluonface.data.detectors import Face
from gluonface.data.recordio import writer
from gluonface.data.recordio.index import rebuild_index
from gluonface.data.recordio.property_file import read_property
from gluonface.data.samplers import _read_weights
from gluonface.data.sources import photo_folder
from gluonface.data.sources.list_columns import read_image_table
from gluonface.data.tools.align import align_photos
from gluonface.data.tools.inspect import inspect_pack, inspect_records
from gluonface.data.tools.journal import Journal
from gluonface.data.tools.resumable_writer import write_record_set
from gluonface.data.tools.stored_embeddings import load_centers, load_embeddings
from gluonface.data.tools.transform_records import read_identities, read_identity_map
from gluonface.errors import GluonfaceError

ROUNDS = 1000  # in all, of each reader
POINTS = " ".join(str(5 * n) for n in range(10))


def mutate(data, random):
    """Change bytes or bits, cut the end off, take out, double, blank or exchange a piece."""
    data = bytearray(data)
    size = len(data)
    kind, at = int(random.integers(8)), int(random.integers(size))
    length = int(random.integers(1, 40))
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        del data[at : at + length]
    elif kind == 2:
        data[at:at] = data[at : at + length]
    elif kind == 3:
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == 4:
        other = int(random.integers(size))
        data[at : at + length], data[other : other + length] = (
            data[other : other + length],
            data[at : at + length],
        )
    elif kind == 5:
        data[at] ^= 1 << int(random.integers(8))
    else:
        for _ in range(length if kind == 6 else 1):
            data[int(random.integers(size))] = int(random.integers(256))
    return bytes(data)


def encoded(count, quality=101):
    random = np.random.Generator(np.random.PCG64(0))
    return [
        images.encode(random.integers(0, 256, (16, 16, 3), np.uint8), quality) for _ in range(count)
    ]


# --- sets and packs: whatever is read must be what was written


def write_records(folder, plain, checksums):
    add_checksum = writer.add_checksum
    writer.add_checksum = add_checksum if checksums else lambda payload: payload
    # Without checksums, PNG: a changed pixel is something that a reader can see there.
    with RecordWriter(folder, plain=plain) as records:
        for image, label in zip(encoded(6, 90 if checksums else 101), (0, 0, 1, 1, 1, 2)):
            records.add(image, label)
    writer.add_checksum = add_checksum
    if plain:
        (folder / "property").unlink()


def read_records(folder):
    """Return what is in a set, or None when verifying it finds something wrong."""
    if inspect_records(folder, progress=False)["problems"]:
        return None
    dataset = RecordDataset(folder)
    return [(label, image.tobytes()) for image, label in dataset]


def records(plain, checksums):
    def rounds(folder, random):
        write_records(folder, plain, checksums)
        whole = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        truth = read_records(folder)
        for number in range(ROUNDS):
            name = sorted(whole)[number % len(whole)] if number % 4 else "train.rec"
            for other, data in whole.items():
                (folder / other).write_bytes(mutate(data, random) if other == name else data)
            yield (lambda: read_records(folder)), truth

    return rounds


def read_pack(path):
    if inspect_pack(path)["problems"]:
        return None
    pack = VerificationPack.load(path)
    return list(zip(pack.issame.tolist(), (pack.images(i).tobytes() for i in range(len(pack)))))


def packs(foreign):
    def rounds(folder, random):
        data, path = encoded(4, 101 if foreign else 90), folder / "x.bin"
        same = [True, False]
        VerificationPack(data, same).save(path)
        sources = [path.read_bytes()]
        if foreign:
            arrays = [np.frombuffer(item, np.uint8) for item in data]
            both = ((data, same), (arrays, [np.True_, np.False_]))
            sources = [pickle.dumps(value, p) for p in (0, 2, 4, 5) for value in both]
        for number in range(ROUNDS):
            path.write_bytes(sources[number % len(sources)])
            truth = read_pack(path)
            path.write_bytes(mutate(sources[number % len(sources)], random))
            yield (lambda: read_pack(path)), truth

    return rounds


# --- other files: an error that names the file, or something sane


def file(name, data, read, sane):
    """Damage one file; `sane` says of what was read whether it can be used."""

    def rounds(folder, random):
        for _ in range(ROUNDS):
            (folder / name).write_bytes(mutate(data, random))
            yield (lambda: sane(read(folder / name))), True

    return rounds


def read_list(path):
    return read_image_table(path, {})


def listed(found):
    return len(found.lines) == len(found.paths) > 0 and all(found.paths)


def landmarks(found):
    return all(p.shape in ((5, 2), (68, 2)) and np.isfinite(p).all() for p in found.values())


def picture(data, read=images.decode):
    def looked(path):
        return read(path.read_bytes())

    def sane(image):
        return image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3

    return file("x", data, looked, sane)


def coded(suffix, shape=(24, 20, 3)):
    random = np.random.Generator(np.random.PCG64(1))
    return cv2.imencode(suffix, random.integers(0, 256, shape, np.uint8))[1].tobytes()


def saved(save, *arrays, **named):
    stream = io.BytesIO()
    save(stream, *arrays, **named)
    return stream.getvalue()


def photographs(folder, random):
    """Align folders of 100 damaged photographs: each is in the report, whatever it is."""
    whole = coded(".jpg", (140, 130, 3))
    (folder / "in").mkdir()

    def align():
        counts = align_photos(
            folder / "in",
            folder / "out",
            detector=lambda image: [Face(TEMPLATE, (0.0, 0.0, 90.0, 90.0), 0.99)],
            progress=False,
            workers=1,
        )
        return [None] * counts["broken"] + [True] * counts["crops"]

    for _ in range(ROUNDS // 100):
        for number in range(100):
            (folder / "in" / f"{number}.jpg").write_bytes(mutate(whole, random))
        found = align()
        yield from (((lambda one=one: one), True) for one in found)


def notes(folder, random):
    """Go on from damaged notes, or a damaged part: the same set, whatever they say."""
    data, out = encoded(4), folder / "out"

    def write(stop):
        def load(number):
            if number == stop:
                raise KeyboardInterrupt
            return data[number]

        write_record_set(
            out, [0, 0, 1, 1], load, {"x": 1}, workers=1, overwrite=True, progress=False
        )
        return read_records(out)  # None: damage of a part is found when the set is verified

    truth = write(None)
    try:
        write(3)
    except KeyboardInterrupt:
        names = (".writing.json", ".train.rec.part")
        left = {name: (out / name).read_bytes() for name in names}
    for number in range(ROUNDS):
        for place, (name, content) in enumerate(left.items()):
            damaged = mutate(content, random) if place == number % 2 else content
            (out / name).write_bytes(damaged)
        yield (lambda: write(None)), truth


def journals(folder, random):
    """Open damaged journals: results that were there, and no others."""
    path, truth = folder / "x", {"x": ["a.jpg"], "y": ["b.jpg"], "z": []}
    with Journal(path, {"a": 1}) as journal:
        for key, result in truth.items():
            journal[key] = result
    whole = path.read_bytes()

    def read():
        with Journal(path, {"a": 1}) as journal:
            found = {key: journal.get(key) for key in truth if key in journal}
            whole = len(found) == len(journal) and all(truth[k] == v for k, v in found.items())
        return (None if len(found) < 3 else truth) if whole else found

    for _ in range(ROUNDS):
        path.write_bytes(mutate(whole, random))
        yield read, truth


READERS = {
    # reader: (rounds, what of (label, image) may be another in what is read)
    "records": (records(plain=False, checksums=True), None),
    "plain": (records(plain=True, checksums=True), None),
    "records without checksums": (records(plain=False, checksums=False), None),
    "plain without checksums": (records(plain=True, checksums=False), "label"),
    "pack": (packs(foreign=False), None),
    "packs of others": (packs(foreign=True), "label"),
    "property": (file("p", b"85742,112,112\n", read_property, all), None),
    "index": (
        file("x.rec", 9 * writer.frame(bytes(40)), rebuild_index, bool),
        None,
    ),
    "im2rec list": (file("x", b"0\t3.0\ta/1.jpg\n1\t4\tb 2.jpg\r\n", read_list, listed), None),
    "insightface list": (file("x", b"1\ta/1.jpg\t3\t9\n1\tb.jpg\t4\n", read_list, listed), None),
    "list": (file("x", b"a/1.jpg 3\nb 2.jpg 4\r\n# c\n\nd.png 7\n", read_list, listed), None),
    "landmarks": (
        file("x", f"a b.jpg {POINTS}\nb,{POINTS.replace(' ', ',')},0.9\n".encode(),
             photo_folder.read_landmarks, landmarks),
        None,
    ),
    "json landmarks": (
        file("x.json", json.dumps({"a.jpg": [[n, n] for n in range(5)]}).encode(),
             photo_folder.read_landmarks, landmarks),
        None,
    ),
    "identities": (
        file("x", b"identity,was\n0,7\n5, ann\n17\r\n", read_identities, lambda n: (n >= 0).all()),
        None,
    ),
    "map": (
        file("x", b"set,identity,set,identity\n1,0,0,3\n1,2,0,4,0.9\n", read_identity_map,
             lambda found: isinstance(found, dict)),
        None,
    ),
    "jpeg": (picture(coded(".jpg")), None),
    "png": (picture(coded(".png")), None),
    "webp": (picture(coded(".webp")), None),
    "bmp": (picture(coded(".bmp")), None),
    "photographs": (photographs, None),
    "notes": (notes, None),
    "journal": (journals, None),
    "embeddings": (
        file("x.npz", saved(np.savez, embedding=np.ones((3, 4), "f4"), label=np.arange(3)),
             load_embeddings, lambda found: found.ndim == 2),
        None,
    ),
    "centers": (
        file("x.npy", saved(np.save, np.ones((3, 4), np.float32)), load_centers,
             lambda found: found.ndim == 3),
        None,
    ),
    "weights": (
        file("x.npy", saved(np.save, np.ones(9)), lambda path: _read_weights(str(path)),
             lambda found: np.isfinite(found).all() and (found >= 0).all()),
        None,
    ),
}  # fmt: skip


def run(reader, folder):
    """Return how often each of: refused, unchanged (the damage was of no account), another."""
    random = np.random.Generator(np.random.PCG64(5))
    outcomes, wrong = collections.Counter(), []
    rounds, free = READERS[reader]
    for number, (read, truth) in enumerate(rounds(folder, random)):
        try:
            found = read()
        except GluonfaceError as error:
            outcomes["refused"] += 1
            if str(folder) not in str(error) and reader not in NAMELESS:
                wrong.append(f"{number}: no file named: {error}")
            continue
        if found is None:
            outcomes["refused"] += 1
        elif found == truth:
            outcomes["unchanged"] += 1
        else:
            outcomes["another"] += 1
            if free is None or [item[1] for item in found] != [item[1] for item in truth]:
                wrong.append(f"{number}: read as something else without a word: {str(found)[:80]}")
    return outcomes, wrong


# Bytes have no file; it is named by whoever gives them. A set of weights is named by its option.
NAMELESS = ("jpeg", "png", "webp", "bmp")

if __name__ == "__main__":
    import logging

    logging.disable(logging.WARNING)
    os.fsync = lambda file: None  # thousands of them wait for a disk that others use too
    # The decoders' own words, thousands of them.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    results = {}
    ROUNDS = int(sys.argv[2])
    for place, reader in enumerate(sys.argv[3:]):
        folder = pathlib.Path(sys.argv[1]) / str(place)
        folder.mkdir(parents=True)
        results[reader] = run(reader, folder)
    sys.stdout.write(json.dumps(results))
