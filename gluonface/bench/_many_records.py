"""Opening a training set of many records: seconds and memory, in a process of its own."""

import json
import pathlib
import subprocess
import sys
import time

__all__ = ["make", "open_elsewhere"]

_SIZE = 7168  # bytes from one image record to the next
_EACH = 48  # images of an identity


def make(folder, count):
    """Write InsightFace's layout with `count` images that are holes in a sparse file.

    Index, header and identity records are as in a real set; the images take no disk space.
    """
    import numpy as np

    from ..data.recordio.record import HEADER, MAGIC, RANGE_RECORD

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    people = -(-count // _EACH)
    first = count + 1  # the key of the first identity record

    def range_records(ranges):
        """Return the bytes of header or identity records."""
        fields = np.zeros(len(ranges), RANGE_RECORD)
        fields["magic"], fields["length"] = MAGIC, HEADER.size + 8
        fields["flag"], fields["range"] = 2, ranges
        return fields.tobytes()

    header = range_records(np.array([[first, first + people]]))
    starts = np.arange(1, count + 1, _EACH)
    identities = range_records(np.stack([starts, np.minimum(starts + _EACH, count + 1)], 1))
    images = each = len(header)  # the first image follows the header
    with open(folder / "train.rec", "wb") as file:
        file.write(header)
        file.seek(images + count * _SIZE)
        file.write(identities)
    with open(folder / "train.idx", "w", encoding="ascii") as file:
        file.write("0\t0\n")
        for begin in range(1, first, 1 << 18):
            stop = min(begin + (1 << 18), first)
            file.write("".join(f"{k}\t{images + (k - 1) * _SIZE}\n" for k in range(begin, stop)))
        end = images + count * _SIZE
        file.write("".join(f"{first + k}\t{end + k * each}\n" for k in range(people)))
    (folder / "property").write_text(f"{people},112,112\n", encoding="ascii")


def open_elsewhere(folder):
    """Open a set in a fresh process; return {"images", "seconds", "megabytes"}.

    The memory is the largest that the process had, Python and NumPy included.
    """
    code = f"from gluonface.bench._many_records import _open; _open({str(folder)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def _open(folder):
    from ..data.recordio.dataset import RecordDataset

    begin = time.perf_counter()
    dataset = RecordDataset(folder)
    seconds = time.perf_counter() - begin
    # Not ru_maxrss, which a process inherits from its parent.
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    used = int(status.split("VmHWM:")[1].split()[0]) / 1024
    value = {"images": len(dataset), "seconds": round(seconds, 2), "megabytes": round(used)}
    sys.stdout.write(json.dumps(value))
