"""Record files of any payloads, with none of RecordWriter's checks; damage to files."""

import numpy as np

from gluonface.data import images
from gluonface.data.recordio.index import read_index
from gluonface.data.recordio.record import frame


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


def damage(faces, key, text=b"JUNK", skip=0):
    at = int(read_index(faces.folder / "train.idx")[1][key]) + skip
    data = bytearray((faces.folder / "train.rec").read_bytes())
    data[at : at + len(text)] = text
    (faces.folder / "train.rec").write_bytes(data)
