"""Packing the same images from folders and from other forms, each in a process of its own."""

import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import time
import zipfile

from ..errors import MissingExtraError

__all__ = ["FORMS", "compare", "open_many", "write_folders"]

_ROWS = 1000  # of a row group of Parquet
_MAP = 1 << 40  # bytes of address space for LMDB


def write_folders(source, folder):
    """Write the images of a source as a folder of images per person."""
    for index in range(len(source)):
        path = folder / f"{int(source.labels[index]):06d}" / f"{index:08d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read(index))


def _zip(faces, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, (label, data) in enumerate(faces):
            archive.writestr(f"{label:06d}/{number:08d}.jpg", data)


def _add(archive, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _tar(faces, path, mode="w"):
    with tarfile.open(path, mode) as archive:
        for number, (label, data) in enumerate(faces):
            _add(archive, f"{label:06d}/{number:08d}.jpg", data)


def _tar_gz(faces, path):
    _tar(faces, path, "w:gz")


def _webdataset(faces, path):
    with tarfile.open(path, "w") as archive:
        for number, (label, data) in enumerate(faces):
            _add(archive, f"{number:08d}.jpg", data)
            _add(archive, f"{number:08d}.cls", str(label).encode())


def _parquet(faces, path):
    from ..data.sources.tables.table_columns import import_arrow

    arrow = import_arrow()
    schema = arrow.schema(
        [("image", arrow.struct([("bytes", arrow.binary())])), ("label", arrow.int64())]
    )
    with arrow.parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, len(faces), _ROWS):
            rows = [faces[i] for i in range(start, min(start + _ROWS, len(faces)))]
            image = [{"bytes": data} for _, data in rows]
            writer.write_table(
                arrow.table({"image": image, "label": [label for label, _ in rows]}, schema)
            )


def _lmdb(faces, path):
    import struct

    count = len(faces)
    with _writing(path, len(faces)) as put:
        for key in sorted(range(count), key=str):
            label, data = faces[key]
            put(str(key), b"\x92\xc6" + struct.pack(">I", len(data)) + data + _number(label))
        put("__keys__", b"\xdd" + struct.pack(">I", count) + b"".join(map(_key, range(count))))
        put("__len__", _number(count))


def _number(value):
    return b"\xce" + value.to_bytes(4, "big")


def _key(number):
    text = str(number).encode()
    return b"\xc4" + bytes([len(text)]) + text


class _writing:
    """Write an LMDB file; keys come in their order."""

    def __init__(self, path, count):
        try:
            import lmdb
        except ImportError as error:
            raise MissingExtraError("lmdb", "formats", "to write an LMDB database") from error
        self.environment = lmdb.open(
            str(path), map_size=_MAP, subdir=False, sync=False, lock=False, meminit=False
        )

    def __enter__(self):
        self.transaction = self.environment.begin(write=True)
        return self._put

    def _put(self, key, value):
        self.transaction.put(key.encode(), value, append=not key.startswith("_"))

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.transaction.commit()
        self.environment.close()


# Form -> (suffix, writer of faces that are (label, encoded image)).
FORMS = {
    "zip": (".zip", _zip),
    "tar": (".tar", _tar),
    "tar.gz": (".tar.gz", _tar_gz),
    "webdataset": (".tar", _webdataset),
    "parquet": (".parquet", _parquet),
    "lmdb": (".lmdb", _lmdb),
}


def compare(folder, faces, paths, repeats):
    """Pack the same images from folders and from other forms, in turns.

    Parameters
    ----------
    folder : pathlib.Path
        For what is made.
    faces : sequence of (int, bytes), or FaceSource
        Images to write in every form; or a source at `paths`, whose images are written in folders.
    paths : list of str
        The source; empty: every form is made.
    repeats : int

    Returns
    -------
    list of dict
        ``form``, ``images_per_second`` (the best), ``to_folders``, ``megabytes`` (the most that
        the process had).
    """
    sources = {"folders": [folder / "folders"]}
    if paths:
        write_folders(faces, folder / "folders")
        sources[faces.kind] = paths
    else:
        for number, (label, data) in enumerate(faces):
            path = folder / "folders" / f"{label:06d}" / f"{number:08d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for form, (suffix, write) in FORMS.items():
            path = folder / form
            path.mkdir()
            write(faces, path / f"faces{suffix}")
            sources[form] = [path / f"faces{suffix}"]
    best: dict = {}
    for _ in range(repeats):
        for form, named in sources.items():
            run = _elsewhere("_pack", [str(path) for path in named], str(folder / "out"))
            rate = run["images"] / run["seconds"]
            if form not in best or rate > best[form][0]:
                best[form] = rate, run["megabytes"]
    return [
        {
            "form": form,
            "images_per_second": round(rate, 1),
            "to_folders": round(rate / best["folders"][0], 2),
            "megabytes": megabytes,
        }
        for form, (rate, megabytes) in best.items()
    ]


def open_many(folder, count, files=1000):
    """Make an LMDB database and Parquet files of `count` tiny entries; open each elsewhere.

    Returns
    -------
    list of dict
        ``form``, ``images``, ``seconds``, ``megabytes`` (the most that the process had).
    """
    import numpy as np

    from ..data.sources.tables.table_columns import import_arrow

    path = folder / "many.lmdb"
    order = np.sort(np.arange(count).astype(f"S{len(str(count - 1))}"))
    with _writing(path, count) as put:
        for key in order:
            put(key.decode(), b"\x92\xc4\x14" + bytes(20) + _number(int(key) // 50))
        names = (
            b"".join(map(_key, range(start, min(start + 100_000, count))))
            for start in range(0, count, 100_000)
        )
        put("__keys__", b"\xdd" + count.to_bytes(4, "big") + b"".join(names))
        put("__len__", _number(count))
    arrow = import_arrow()
    (folder / "many").mkdir()
    for number in range(files):
        rows = np.arange(number * count // files, (number + 1) * count // files)
        image = arrow.array([b"\xff\xd8 tiny"] * len(rows), arrow.binary())
        table = arrow.table({"image": image, "label": rows // 50})
        arrow.parquet.write_table(table, folder / "many" / f"x-{number:05d}-of-{files:05d}.parquet")
    return [
        {"form": form, **_elsewhere("_open", [str(where)])}
        for form, where in (("lmdb", path), (f"{files:,} files of parquet", folder / "many"))
    ]


def _elsewhere(function, *words):
    """Call a function of this module in a fresh process; return what it prints."""
    arguments = ", ".join(map(repr, words))
    code = f"from gluonface.bench._face_sources import {function} as f; f({arguments})"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def _tell(images, seconds):
    # Not ru_maxrss, which a process inherits from its parent.
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    megabytes = round(int(status.split("VmHWM:")[1].split()[0]) / 1024)
    value = {"images": images, "seconds": round(seconds, 3), "megabytes": megabytes}
    sys.stdout.write(json.dumps(value))


def _pack(paths, out):
    import logging

    from ..data.tools.write_records import pack

    logging.disable(logging.WARNING)
    pathlib.Path(out).mkdir(exist_ok=True)
    for name in os.listdir(out):
        os.unlink(os.path.join(out, name))
    begin = time.perf_counter()
    done = pack(paths if len(paths) > 1 else paths[0], out, resize=True, progress=False)
    _tell(done["images"], time.perf_counter() - begin)


def _open(paths):
    from ..data.sources import open_source

    begin = time.perf_counter()
    source = open_source(paths)
    _tell(len(source), time.perf_counter() - begin)
