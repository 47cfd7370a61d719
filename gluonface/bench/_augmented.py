"""Flip and colour jitter: our loader compared with MXNet's two, on the same records and threads."""

import functools
import os
import time

__all__ = ["CONTENDERS", "ITERATOR", "WORKERS", "best_rates", "copy_plain", "measure", "memory"]

ITERATOR, WORKERS = "mx.io.ImageRecordIter", "gluon DataLoader"
CONTENDERS = {
    ITERATOR: "baseline: rand_mirror, brightness, contrast and saturation 0.4, uint8 batches",
    WORKERS: "baseline: over RecordDataset, RandomFlipLeftRight and RandomColorJitter, processes",
    "Loader, decoding": "flip and color_jitter 0.4, every image decoded",
    "Loader, cached": "the same from the second epoch on, for sets that fit into memory decoded",
}
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}


def copy_plain(dataset, count, stem):
    """Copy records into a plain file as im2rec writes it, which every contender can read.

    `mx.io.ImageRecordIter` takes InsightFace's header and identity records for images and stops.
    """
    from .._compat import mx

    writer = mx.recordio.MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "w")
    for index in range(count):
        label, data = dataset.record(index)
        header = mx.recordio.IRHeader(0, float(label), index, 0)
        writer.write_idx(index, mx.recordio.pack(header, data))
    writer.close()


def best_rates(runs, repeats):
    """Return name -> the highest rate of ``run(repeat)``, which returns a count, per second.

    The runs take turns, so that other work on the machine slows all alike.
    """
    best = dict.fromkeys(runs, 0.0)
    for repeat in repeats:
        for name, run in runs.items():
            begin = time.perf_counter()
            done = run(repeat)
            best[name] = max(best[name], done / (time.perf_counter() - begin))
    return best


def measure(stem, batch_size, workers, repeats):
    """Return ({name: images/s}, MB of memory after each of three epochs of the decoding loader).

    Parameters
    ----------
    stem : str
        Of the plain file, without suffix.
    batch_size, workers, repeats : int
    """
    from ..data.loader import Loader
    from ..data.recordio.dataset import RecordDataset

    plain, dataset = RecordDataset(f"{stem}.rec", cache=0), RecordDataset(f"{stem}.rec")
    loaders = [
        Loader(one, batch_size, workers=workers, augment=[{"color_jitter": JITTER}])
        for one in (plain, dataset)
    ]
    runs = {
        ITERATOR: _iterator(stem, plain.image_size, batch_size, workers),
        WORKERS: _data_loader(plain, batch_size, workers),
        "Loader, decoding": functools.partial(_epoch, loaders[0]),
    }
    if dataset.cached:
        runs["Loader, cached"] = functools.partial(_epoch, loaders[1])
    for run in runs.values():
        run(0)  # threads start, the cache fills
    best = best_rates(runs, range(1, repeats + 1))
    after = []
    for epoch in range(3):
        _epoch(loaders[0], epoch)
        after.append(round(memory() / 1e6, 1))
    return best, after


def _iterator(stem, size, batch_size, workers):
    from .._compat import mx

    batches = mx.io.ImageRecordIter(
        path_imgrec=f"{stem}.rec",
        path_imgidx=f"{stem}.idx",
        data_shape=(3, *size),
        batch_size=batch_size,
        shuffle=True,
        preprocess_threads=workers,
        round_batch=False,
        rand_mirror=True,
        dtype="uint8",
        verbose=False,
        **JITTER,
    )

    def run(epoch):
        batches.reset()
        done = 0
        for batch in batches:
            batch.data[0].wait_to_read()
            done += batch_size - batch.pad
        return done

    return run


def _data_loader(dataset, batch_size, workers):
    from .._compat import mx

    transforms = mx.gluon.data.vision.transforms
    change = transforms.Compose(
        [transforms.RandomFlipLeftRight(), transforms.RandomColorJitter(*JITTER.values())]
    )

    class Changed(mx.gluon.data.Dataset):
        def __len__(self):
            return len(dataset)

        def __getitem__(self, index):
            image, label = dataset[index]
            return change(mx.nd.array(image, dtype="uint8")), label

    batches = mx.gluon.data.DataLoader(
        Changed(), batch_size, shuffle=True, last_batch="discard", num_workers=workers
    )

    def run(epoch):
        done = 0
        for images, _ in batches:
            images.wait_to_read()
            done += len(images)
        return done

    return run


def _epoch(loader, epoch):
    return sum(len(batch.labels) for batch in loader.epoch(epoch))


def memory():
    """Return the memory of this process in bytes, as the system counts it now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
