"""`gluonface bench data`: how many images a second readers deliver, and `data pack` takes."""

import argparse
import functools
import pathlib
import sys
import tempfile

from ..errors import InputError

__all__ = ["add_arguments", "run"]

# name -> what exactly is measured, as the table says it
LOOP_CV2, LOOP_MX = "read_idx + cv2.imdecode", "read_idx + mx.image"
CONTENDERS = {
    LOOP_CV2: "baseline: MXIndexedRecordIO.read_idx, recordio.unpack, cv2.imdecode, in a loop",
    LOOP_MX: "baseline of MXNet alone: the same with mx.image.imdecode and asnumpy",
    "RecordDataset": "for each i: image, label = dataset[i], in one thread",
    "Loader, decoding": "shuffled (B, 3, H, W) batches with flips, every image decoded",
    "Loader, cached": "the same from the second epoch on, for sets that fit into memory decoded",
}


def add_arguments(parser):
    """Add the options of this benchmark to `parser`."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="records to read; None: made images of 112 x 112, JPEG quality 95",
    )
    parser.add_argument("--batch-size", type=_positive, default=128, help="of the loader")
    parser.add_argument(
        "--workers", type=_positive, help="threads of the loader; None: the usable cores, at most 4"
    )
    parser.add_argument(
        "--images", type=_positive, default=3000, help="images per measurement at most"
    )
    parser.add_argument(
        "--repeats", type=_positive, default=5, help="measurements of each; the best counts"
    )
    parser.add_argument(
        "--open",
        type=_positive,
        metavar="N",
        help="also open a made set of N records and print seconds and memory; 17 million take "
        "400 MB of disk for their index",
    )
    parser.add_argument(
        "--source",
        nargs="*",
        metavar="PATH",
        help="measure `gluonface data pack` instead: from folders and from this source of the same "
        "images; without a PATH, of made images as zip, tar, WebDataset, Parquet and LMDB; with "
        "--open N also how long an LMDB and 1,000 Parquet files of N entries take to open",
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers to FILE as well")


def _positive(text):
    value = int(text) if text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number from 1 was expected")
    return value


def run(args):
    """Measure and print the tables; return the exit status."""
    from ..files import write_json

    with tempfile.TemporaryDirectory(prefix="gluonface-bench-") as folder:
        folder = pathlib.Path(folder)
        if args.source is not None:
            value = _sources(args, folder)
            if args.json:
                write_json(args.json, value)
            return 0
        if not args.data:
            make_records(folder / "made", args.images)
        value = _readers(args, args.data or folder / "made")
        value.update(_augmented(args, args.data or folder / "made", folder))
        if args.open:
            from . import _many_records

            _many_records.make(folder / "many", args.open)
            value["open"] = found = _many_records.open_elsewhere(folder / "many")
            sys.stdout.write(
                f"\nOpening {found['images']:,} records: {found['seconds']:.1f} s, at most "
                f"{found['megabytes']:,} MB of memory, Python included\n"
            )
    if args.json:
        write_json(args.json, value)
    return 0


def make_records(folder, count):
    """Write `count` JPEG crops that are as hard to decode as photographs of faces.

    Smooth colours and a little noise make about 7 kB at quality 95, as real aligned crops do.
    """
    from ..data.recordio.writer import RecordWriter

    made = _crops(min(count, 250))  # the rest repeats them; decoders do not remember
    with RecordWriter(folder) as writer:
        for number in range(count):
            writer.add(made[number % len(made)], number // 20)


def _crops(count):
    import numpy as np

    from ..data import images

    random = np.random.Generator(np.random.PCG64(0))
    made = []
    for _ in range(count):
        small = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = images.resize(small, (112, 112)) + random.normal(0, 6, (112, 112, 3))
        made.append(images.encode(np.clip(image, 0, 255).astype(np.uint8)))
    return made


class _Repeated:
    """Faces as (label, encoded image): few crops, again and again."""

    def __init__(self, made, count):
        self.made, self.count = made, count

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        if not 0 <= number < self.count:
            raise IndexError(number)
        return number // 20, self.made[number % len(self.made)]


def _sources(args, folder):
    """Measure packing; return what goes into the file of --json."""
    from ..data.sources import open_source
    from . import _face_sources

    faces = open_source(args.source) if args.source else _Repeated(_crops(250), args.images)
    rows = _face_sources.compare(folder, faces, args.source, args.repeats)
    sys.stdout.write(f"gluonface data pack of {len(faces):,} images, best of {args.repeats}\n")
    sys.stdout.write(f"{'form':14}{'images/s':>10}{'to folders':>12}{'MB':>8}\n")
    for row in rows:
        sys.stdout.write(
            f"{row['form']:14}{row['images_per_second']:>10,.0f}{row['to_folders']:>12.2f}"
            f"{row['megabytes']:>8,}\n"
        )
    value = {"source": args.source, "images": len(faces), "rows": rows}
    if args.open:
        value["open"] = _face_sources.open_many(folder, args.open)
        for row in value["open"]:
            sys.stdout.write(
                f"Opening {row['images']:,} entries, {row['form']}: {row['seconds']:.1f} s, at "
                f"most {row['megabytes']:,} MB of memory, Python included\n"
            )
    return value


def _readers(args, data):
    """Measure what reads and decodes; return what goes into the file of --json."""
    from .._compat import cv2, mx
    from ..data.loader import Loader
    from ..data.recordio.dataset import RecordDataset
    from ._augmented import best_rates

    dataset = RecordDataset(data)
    count = min(len(dataset), args.images)
    if args.batch_size > count:
        raise InputError(f"--batch-size {args.batch_size}: there are only {count} images")
    plain = RecordDataset(data, cache=0)
    loaders = [Loader(one, args.batch_size, workers=args.workers) for one in (plain, dataset)]
    if not dataset.cached:
        del loaders[1]
    runs = _contenders(plain, loaders, count)
    best = best_rates(runs, range(args.repeats))
    size = sum(len(dataset.read(i)) for i in range(min(count, 500))) / min(count, 500)
    rows = [
        {
            "what": name,
            "images_per_second": round(rate, 1),
            "to_cv2_loop": round(rate / best[LOOP_CV2], 2),
            "to_mx_loop": round(rate / best[LOOP_MX], 2),
            "measures": CONTENDERS[name],
        }
        for name, rate in best.items()
    ]
    height, width = dataset.image_size
    title = (
        f"{count} images of {width} x {height}, {size / 1000:.1f} kB each on average; batch "
        f"{args.batch_size}, {loaders[0].workers} workers; best of {args.repeats}"
    )
    _print(title, rows, {"to_cv2_loop": "to cv2 loop", "to_mx_loop": "to mx loop"})
    return {
        "data": str(args.data or "made"),
        "images": count,
        "bytes_per_image": round(size),
        "batch_size": args.batch_size,
        "workers": loaders[0].workers,
        "repeats": args.repeats,
        "versions": {"mxnet": mx.__version__, "cv2": cv2.__version__},
        "rows": rows,
    }


def _augmented(args, data, folder):
    """Measure loading with flip and colour jitter, ours and MXNet's iterator and DataLoader."""
    from .._compat import usable_cores
    from ..data.recordio.dataset import RecordDataset
    from . import _augmented as contest

    dataset = RecordDataset(data)
    count = min(len(dataset), args.images)
    workers = args.workers or min(4, usable_cores())
    contest.copy_plain(dataset, count, folder / "plain")
    best, memory = contest.measure(folder / "plain", args.batch_size, workers, args.repeats)
    rows = [
        {
            "what": name,
            "images_per_second": round(rate, 1),
            "to_iterator": round(rate / best[contest.ITERATOR], 2),
            "to_data_loader": round(rate / best[contest.WORKERS], 2),
            "measures": contest.CONTENDERS[name],
        }
        for name, rate in best.items()
    ]
    sys.stdout.write("\n")
    title = f"The same with flip and colour jitter, each with {workers} workers"
    _print(title, rows, {"to_iterator": "to iterator", "to_data_loader": "to DataLoader"})
    shown = ", ".join(f"{megabytes:,.1f}" for megabytes in memory)
    sys.stdout.write(
        f"\nMemory of this process after three epochs of the decoding loader: {shown} MB\n"
    )
    return {"augmented": rows, "megabytes_after_epochs": memory}


def _contenders(dataset, loaders, count):
    """Return name -> function that reads and decodes images and returns how many."""
    import numpy as np

    from .._compat import cv2, mx

    stem = dataset.path.with_suffix("")
    record = mx.recordio.MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "r")
    keys = [dataset.key(i) for i in range(count)]

    def baseline(decode, _):
        for key in keys:
            _, data = mx.recordio.unpack(record.read_idx(key))
            decode(data)
        return count

    def each(_):
        return sum(1 for i in range(count) if dataset[i])

    def batches(loader, _=None):
        order = loader.order(0)
        order = order[order < count]
        steps = [order[at : at + loader.batch_size] for at in range(0, count, loader.batch_size)]
        return sum(len(batch.labels) for batch in loader.batches(steps))

    def with_cv2(data):
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    def with_mx(data):
        return mx.image.imdecode(data).asnumpy()

    measures = [
        functools.partial(baseline, with_cv2),
        functools.partial(baseline, with_mx),
        each,
        *(functools.partial(batches, loader) for loader in loaders),
    ]
    if len(loaders) > 1:
        batches(loaders[1])  # the first epoch, which fills the cache
    return dict(zip(CONTENDERS, measures))


def _print(title, rows, ratios):
    width = max(len(row["what"]) for row in rows)
    heads = "".join(f"{head:>15}" for head in ratios.values())
    lines = [title, "", f"{'':{width}}  images/s{heads}"]
    for row in rows:
        shown = "".join(f"{row[key]:14.2f}x" for key in ratios)
        lines.append(f"{row['what']:{width}}  {row['images_per_second']:8,.0f}{shown}")
    lines += ["", *(f"{row['what']:{width}}  {row['measures']}" for row in rows)]
    sys.stdout.write("\n".join(lines) + "\n")
