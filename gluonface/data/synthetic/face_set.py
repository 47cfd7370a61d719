"""Synthetic faces: a training set and a verification pack without people, to try everything on.

The faces are drawn, not learnt: about 50 numbers define an identity (shape of head, features, skin,
hair, marks), and each image has its own pose, light, expression, occlusion and camera. They show
whether a pipeline learns and generalises to identities never seen; they say nothing about accuracy
on people.

What is reproducible
--------------------
An image depends on (generator version, seed, identity number, image number) alone: not on how
many there are, their order, or the number of processes. Random bits come from the counter-based
Philox generator and the arithmetic is integer or the basic IEEE operations, which round the same
on every machine. So pixels and JPEG bytes are identical with the same version of OpenCV; another
version may draw the edge of a polygon or round a JPEG coefficient differently.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import multiprocessing
import pathlib
import signal
import threading
import time
import typing

import numpy as np

from ..._compat import cv2, usable_cores
from ...errors import DataError, GluonfaceError, InputError
from ...files import StrPath, atomic_write, parse_json, sha256, write_json
from .. import images as codec
from ..tools.journal import write_checked_json
from ..tools.resumable_writer import SAVE_EVERY, open_writer
from ..tools.staging_dir import SUFFIX, staging_dir
from ..verification_pack import VerificationPack
from .drawing import draw_image
from .hair import model_head
from .pairs import FOLDS, check_pairs, plan_pairs, raw_pixel_accuracy
from .traits import conditions, traits

__all__ = ["GENERATOR", "contact_sheet", "draw_face", "raw_pixel_accuracy", "synthesize"]

logger = logging.getLogger(__name__)

GENERATOR = 1  # to be raised by every change that changes a pixel
FIRST_TEST_IDENTITY = 1 << 30  # so that test identities do not depend on the number to train on
STATE = "drawn.json"  # the saved state of an unfinished training set
FILES = ("train.rec", "train.idx", "property", "test.bin", "contact.png")


@contextlib.contextmanager
def _portable_opencv():
    """Disable Intel's IPP in OpenCV: its results depend on the processor."""
    used = cv2.ipp.useIPP() if hasattr(cv2, "ipp") else False
    if used:
        cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        if used:
            cv2.ipp.setUseIPP(True)


def draw_face(seed: int, identity: int, image: int) -> np.ndarray:
    """Draw one face.

    Parameters
    ----------
    seed : int
        0 or more; other seeds give other identities.
    identity : int
        0 or more.
    image : int
        0 or more; the number of the image of this identity.

    Returns
    -------
    numpy.ndarray
        uint8 (112, 112, 3) RGB, before any JPEG compression.

    Raises
    ------
    InputError
        When a number is negative or no whole number.
    """
    for name, value in (("seed", seed), ("identity", identity), ("image", image)):
        _check(name, value, 0)
    return _draw(int(seed), int(identity), [int(image)])[0][0]


def _draw(seed, identity, numbers):
    """Return (image, JPEG quality) for these image numbers of an identity."""
    with _portable_opencv():
        head = model_head(traits(seed, identity))
        drawn = []
        for number in numbers:
            scene = conditions(seed, identity, number)
            drawn.append((draw_image(head, scene), scene.quality))
        return drawn


def _encode(task):
    """Draw and encode images of an identity; called in worker processes."""
    seed, identity, numbers, image_format = task
    lossless = image_format == "png"
    return [
        codec.encode(image, 101 if lossless else quality)
        for image, quality in _draw(seed, identity, numbers)
    ]


def _start_worker():
    cv2.setNumThreads(1)  # one process per core instead
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends its workers


@contextlib.contextmanager
def _without_interrupts():
    """Delay SIGINT in this block, and block it for ever in processes that are started in it.

    Otherwise Ctrl-C ends them with tracebacks while they start, or this process before it has told
    them what to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    # An interrupt that came during an import waits for the next alarm (cli/_interrupt.py).
    alarm, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    previous = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, previous)
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, alarm)
        if came:
            signal.raise_signal(signal.SIGINT)


def _results(tasks, workers):
    """Yield `_encode(task)` in order, computed by `workers` processes."""
    if workers == 1:
        yield from map(_encode, tasks)
        return
    context = multiprocessing.get_context("spawn")  # safe with threads of MXNet and OpenCV
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, _start_worker)
    try:
        with _without_interrupts():  # Python starts the processes here
            results = pool.map(_encode, tasks, chunksize=2)
        yield from results
    except concurrent.futures.process.BrokenProcessPool as error:
        raise GluonfaceError(
            "a process that draws faces ended early (killed, out of memory, or the calling "
            "script starts work at import). Put the call under `if __name__ == '__main__':`, "
            "or use workers=1"
        ) from error
    finally:
        # Once: a second call, such as that of a `with` block, takes the cancelling back if Python's
        # thread has not seen it yet. The processes then draw all that was asked for.
        pool.shutdown(cancel_futures=True)


def contact_sheet(seed: int, identities: int, images: int) -> np.ndarray:
    """Draw a sheet with one identity per row and its images side by side.

    Parameters
    ----------
    seed : int
    identities, images : int
        Rows and columns.

    Returns
    -------
    numpy.ndarray
        uint8 (112 * identities, 112 * images, 3) RGB.
    """
    rows = [[image for image, _ in _draw(seed, who, range(images))] for who in range(identities)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def synthesize(
    out: StrPath,
    identities: int = 200,
    images: int = 20,
    seed: int = 0,
    test_identities: int = 100,
    pairs: int = 600,
    workers: int | None = None,
    image_format: str = "jpg",
    overwrite: bool = False,
    kfold_accuracy: typing.Callable | None = None,
) -> dict:
    """Draw a training set and a verification pack of synthetic faces.

    The folder gets ``train.rec``, ``train.idx``, ``property`` (labels 0 to `identities` - 1),
    ``test.bin`` (pairs of identities that are not in the training set, in ten folds with
    identities of their own), ``contact.png`` and ``synthetic.json``. They appear together when all
    are complete. A second call with the same settings draws nothing if the set is there, and
    continues the training set if the first call was interrupted.

    Parameters
    ----------
    out : str or pathlib.Path
        The folder.
    identities : int, default 200
        Identities to train on, 2 or more.
    images : int, default 20
        Images per identity, 2 or more.
    seed : int, default 0
        Other seeds give other identities.
    test_identities : int, default 100
        Identities of the verification pack, 20 or more.
    pairs : int, default 600
        Pairs of the pack, a multiple of 20: each fold has half same, half different.
    workers : int, optional
        Processes that draw; by default the cores this process may use. The result is the same.
    image_format : {"jpg", "png"}
        "jpg" gives each image a quality of its own (45 to 95); "png" loses nothing.
    overwrite : bool, default False
        Replace a set with other settings, or a damaged one.
    kfold_accuracy : callable, optional
        `gluonface.evaluation.metrics.folds.kfold_accuracy`, to measure how well raw pixels alone
        tell the pairs of the pack apart. By default that is not measured.

    Returns
    -------
    dict
        What ``synthetic.json`` holds (settings, counts, raw-pixel accuracies if they are
        measured, SHA-256 of the files, versions) and ``folder``, ``reused``, ``seconds``,
        ``images_per_second``.

    Raises
    ------
    InputError
        A number out of range; a folder that holds something else.
    DataError
        A set with these settings whose files are missing or changed.
    """
    out = pathlib.Path(out)
    settings = {
        "generator": GENERATOR,
        "identities": _check("identities", identities, 2),
        "images": _check("images", images, 2),
        "seed": _check("seed", seed, 0),
        "test_identities": _check("test_identities", test_identities, 2 * FOLDS),
        "pairs": _check("pairs", pairs, 2 * FOLDS),
        "image_format": image_format,
    }
    if image_format not in ("jpg", "png"):
        raise InputError(f"image_format {image_format!r}: 'jpg' or 'png' was expected")
    workers = usable_cores() if workers is None else _check("workers", workers, 1)
    check_pairs(test_identities, images, pairs)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a folder was expected. Choose another --out")
    start = time.perf_counter()
    found = None if overwrite else _find(out, settings)
    if found is None:
        with staging_dir(out, (*FILES, "synthetic.json")) as folder:
            found = _make(folder, settings, workers, kfold_accuracy)
        reused = False
    else:
        reused = True
        logger.info("%s holds this set already; nothing was drawn", out)
        if kfold_accuracy and "raw_pixels" not in found:
            pack = VerificationPack.load(out / "test.bin")
            found["raw_pixels"] = raw_pixel_accuracy(pack, kfold_accuracy)
    seconds = time.perf_counter() - start
    drawn = 0 if reused else found["counts"]["drawn"]
    return {
        **found,
        "folder": str(out),
        "reused": reused,
        "seconds": round(seconds, 3),
        "images_per_second": round(drawn / seconds, 1),
    }


def _check(name, value, least):
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not least <= value < 1 << 31:
        raise InputError(f"{name} {value!r}: a whole number from {least} to 2^31 was expected")
    return int(value)


def _find(out, settings):
    """Return the summary of the set in `out` when it is the one asked for, None when empty."""
    if not out.exists() or all(path.name.endswith(SUFFIX) for path in out.iterdir()):
        return None
    try:
        summary = parse_json((out / "synthetic.json").read_bytes(), out)
        there, hashes = summary["settings"], {name: summary["files"][name] for name in FILES}
        if not isinstance(there, dict):
            raise TypeError("its settings are no object")
    except (OSError, DataError, KeyError, TypeError) as error:
        raise InputError(
            f"{out} is not empty and holds no synthetic set. Choose another folder, or let "
            "--overwrite write into this one"
        ) from error
    if there != settings:
        keys = sorted(set(settings) | set(there))
        changed = ", ".join(
            f"{key} {there.get(key)} there, {settings.get(key)} asked"
            for key in keys
            if there.get(key) != settings.get(key)
        )
        raise InputError(
            f"{out} holds a synthetic set with other settings ({changed}). Choose another folder, "
            "or replace the set with --overwrite"
        )
    for name, digest in hashes.items():
        if not (out / name).is_file() or sha256(out / name) != digest:
            raise DataError(
                f"{out / name} is missing or changed since the set was made. Make it again with "
                "--overwrite"
            )
    return summary


def _make(folder, settings, workers, kfold_accuracy):
    """Draw everything into `folder` and return the summary."""
    from tqdm import tqdm

    seed, count, kind = settings["seed"], settings["images"], settings["image_format"]
    people = settings["identities"]
    plan = plan_pairs(seed, settings["test_identities"], count, settings["pairs"])
    shown = sorted({pair[side : side + 2] for pair in plan for side in (0, 2)})
    wanted: dict[int, list[int]] = {}  # test identity -> image numbers of its pairs
    for who, number in shown:
        wanted.setdefault(who, []).append(number)
    writer, _ = open_writer(folder, folder / STATE, settings, people)
    done = len(writer) // count
    tasks = [(seed, who, range(count), kind) for who in range(done, people)]
    tasks += [(seed, FIRST_TEST_IDENTITY + who, numbers, kind) for who, numbers in wanted.items()]
    total = people * count + len(shown)
    test, saved = {}, time.monotonic()

    def save_state():
        write_checked_json(folder / STATE, {"settings": settings, "writer": writer.state()})

    bar = tqdm(total=total, initial=done * count, unit="image", desc="drawing faces", disable=None)
    with bar, contextlib.closing(_results(tasks, workers)) as results:
        try:
            for task, encoded in zip(tasks, results):
                who, numbers = task[1], task[2]
                if who < FIRST_TEST_IDENTITY:
                    for data in encoded:
                        writer.add(data, who)
                else:
                    for number, data in zip(numbers, encoded):
                        test[who - FIRST_TEST_IDENTITY, number] = data
                bar.update(len(encoded))
                if time.monotonic() - saved > SAVE_EVERY:
                    save_state()
                    saved = time.monotonic()
        except BaseException:
            try:
                if len(writer) % count == 0:  # a call continues after complete identities only
                    save_state()
            finally:
                writer.pause()
            raise
    writer.close()
    bins = [test[pair[side : side + 2]] for pair in plan for side in (0, 2)]
    pack = VerificationPack(bins, [one == other for one, _, other, _ in plan], name="test")
    pack.save(folder / "test.bin")
    sheet = contact_sheet(seed, min(people, 8), min(count, 8))
    with atomic_write(folder / "contact.png") as file:
        file.write(codec.encode(sheet, 101))
    summary = {
        "settings": settings,
        "counts": {
            "identities": people,
            "images": people * count,
            "test_identities": len(wanted),
            "test_images": len(test),
            "pairs": len(plan),
            "folds": FOLDS,
            "drawn": total,
        },
        "files": {name: sha256(folder / name) for name in FILES},
        "versions": {"opencv": cv2.__version__, "numpy": np.__version__},
    }
    if kfold_accuracy:
        summary["raw_pixels"] = raw_pixel_accuracy(pack, kfold_accuracy)
    write_json(folder / "synthetic.json", summary)
    return summary
