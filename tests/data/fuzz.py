"""The child process of test_fuzz.py: 1,000 damaged files a kind, and what became of them."""

import collections
import json
import pathlib
import pickle
import sys

import numpy as np

from gluonface.data import RecordDataset, RecordWriter, VerificationPack, images, photos
from gluonface.data.pack import read_list
from gluonface.data.pack_pairs import read_pairs
from gluonface.data.rearrange import read_identities, read_identity_map
from gluonface.data.survey import survey_pack, survey_records
from gluonface.errors import GluonfaceError

ROUNDS = 1000
POINTS = " ".join(str(5 * n) for n in range(10))
TEXTS = {
    "list": (read_list, "0\t3.0\ta/1.jpg\n1\t4\tb/2.jpg\r\nc d.jpg,7\n"),
    "lfw": (read_pairs, "1\t1\nAnn\t1\t2\nAnn\t2\tBob\t1\n"),
    "pairs": (read_pairs, "a.jpg,b.jpg,1\nc.jpg\td.jpg\t0\r\n"),
    "landmarks": (photos.read_landmarks, f"a.jpg {POINTS}\nb.jpg,{POINTS.replace(' ', ',')},0.9\n"),
    "json": (photos.read_landmarks, json.dumps({"a.jpg": [[n, n] for n in range(5)]})),
    "identities": (read_identities, "0\n5, ann\n17\r\n"),
    "map": (read_identity_map, "set,identity,set,identity\n1,0,0,3\n1,2,0,4\n"),
}


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


def encoded(count, seed=0):
    random = np.random.Generator(np.random.PCG64(seed))
    # PNG, whose checksums make a changed pixel something that a reader can see.
    return [images.encode(random.integers(0, 256, (8, 8, 3), np.uint8), 101) for _ in range(count)]


def write_records(folder, plain):
    with RecordWriter(folder, plain=plain) as writer:
        for image, label in zip(encoded(6), (0, 0, 1, 1, 1, 2)):
            writer.add(image, label)
    if plain:
        (folder / "property").unlink()


def read_records(folder):
    """Return what is in a set, or None when verifying it finds something wrong."""
    if survey_records(folder, progress=False)["problems"]:
        return None
    dataset = RecordDataset(folder)
    return dataset.num_classes, [(label, image.tobytes()) for image, label in dataset]


def read_pack(path):
    if survey_pack(path)["problems"]:
        return None
    pack = VerificationPack.load(path)
    return pack.issame.tolist(), [batch.tobytes() for batch in pack.iter_batches(1)]


def pack_sources():
    data, same = encoded(4), [True, False]
    arrays = [np.frombuffer(item, np.uint8) for item in data]
    flags = [np.True_, np.False_]
    return [pickle.dumps(v, p) for p in (0, 2, 4, 5) for v in ((data, same), (arrays, flags))]


def run(kind, folder):
    """Return how often each of: refused, unchanged (the damage was of no account), other."""
    random = np.random.Generator(np.random.PCG64(5))
    outcomes, others = collections.Counter(), []
    if kind in ("records", "plain"):
        write_records(folder, kind == "plain")
        whole = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        truth = read_records(folder)
    sources = pack_sources()
    for number in range(ROUNDS):
        try:
            if kind in ("records", "plain"):
                name = sorted(whole)[number % len(whole)] if number % 2 else "train.rec"
                for other, data in whole.items():
                    (folder / other).write_bytes(mutate(data, random) if other == name else data)
                found, expected = read_records(folder), truth
            elif kind == "pack":
                source = sources[number % len(sources)]
                (folder / "x.bin").write_bytes(source)
                expected = read_pack(folder / "x.bin")
                (folder / "x.bin").write_bytes(mutate(source, random))
                found = read_pack(folder / "x.bin")
            else:
                reader, text = TEXTS[kind]
                path = folder / ("x.json" if kind == "json" else "x.txt")
                path.write_bytes(mutate(text.encode(), random))
                found = expected = reader(path)
        except GluonfaceError as error:
            outcomes["refused"] += 1
            if str(folder) not in str(error) and kind != "pack":
                others.append(f"{number}: no file named: {error}")
            continue
        if found is None:
            outcomes["refused"] += 1
        elif found is expected or found == expected:
            outcomes["unchanged"] += 1
        else:
            outcomes["other"] += 1
            # Nothing in the files contradicts another number of classes, or, in a plain file,
            # another label.
            part = 1 if kind == "plain" else slice(None)
            if [item[part] for item in found[1]] != [item[part] for item in expected[1]]:
                others.append(f"{number}: read as something else without a word")
    return outcomes, others


if __name__ == "__main__":
    import logging

    logging.disable(logging.WARNING)
    results = {}
    for kind in sys.argv[2:]:
        folder = pathlib.Path(sys.argv[1]) / kind
        folder.mkdir(parents=True)
        results[kind] = run(kind, folder)
    sys.stdout.write(json.dumps(results))
