"""Writing a training set from many images: in parallel, resumable, nothing left out silently."""

import collections
import concurrent.futures
import contextlib
import hashlib
import json
import logging
import pathlib
import time

import numpy as np
from tqdm import tqdm

from ..._compat import usable_cores
from ...errors import DataError, InputError
from ..recordio.writer import EXACT, RecordWriter
from ..text_files import write_table
from .journal import file_stamp, read_note, write_note

__all__ = ["check_free", "digest", "set_stamp", "thread_count", "write_identities", "write_set"]

logger = logging.getLogger(__name__)

SAVE_EVERY = 10.0  # seconds between two notes of where the work is


def write_set(
    out,
    labels,
    load,
    settings,
    name=str,
    num_classes=None,
    plain=False,
    overwrite=False,
    workers=None,
    progress=True,
    left_out=(),
    beside=None,
):
    """Write images as a training set.

    The folder gets ``train.rec``, ``train.idx``, ``property`` and ``left_out.csv``. Interrupted
    work goes on where it was when the function is called with the same settings again.

    Parameters
    ----------
    out : str or pathlib.Path
        The folder.
    labels : array (n,) int
        The identity of each image. Unless `plain`, all images of an identity follow each other.
    load : callable
        Number of an image -> its encoded bytes; called by many threads. A `DataError` leaves the
        image out.
    settings : dict
        What the result depends on, as JSON can hold it.
    name : callable
        Number of an image -> what reports call it.
    num_classes : int, optional
        For ``property``; by default the largest label + 1.
    plain : bool, default False
        As for `RecordWriter`.
    overwrite : bool, default False
        Replace a set that is there.
    workers : int, optional
        Threads. The default is one per usable core.
    progress : bool, default True
        Show a progress bar on standard error.
    left_out : list of (str, str), optional
        What the caller left out already: name and reason, for the report.
    beside : callable, optional
        Writes what else belongs to the set; called before the records get their names, so that
        a set that is there has it.

    Returns
    -------
    dict
        ``images`` and ``identities`` written, ``left_out``: list of (name, reason).

    Raises
    ------
    InputError
        When a set is there already, or no image is left.
    """
    out, labels = check_free(out, overwrite), np.asarray(labels, np.int64)
    if len(labels) and not 0 <= labels.min() <= labels.max() < EXACT:
        raise InputError(
            f"labels {labels.min()} to {labels.max()}: 0 to {EXACT - 1} were expected, which is "
            "all that a record's label can hold"
        )
    out.mkdir(parents=True, exist_ok=True)
    notes = out / ".writing.json"
    if num_classes is not None:
        num_classes = int(num_classes)
    workers = thread_count(workers)
    settings = {"labels": digest(labels), "classes": num_classes, "plain": plain, **settings}
    settings = json.loads(json.dumps(settings))
    state = _read_notes(notes, settings)
    writer, state = _open_writer(out, num_classes, plain, state)
    left_out = [tuple(item) for item in (left_out if state is None else state["left_out"])]
    first = 0 if state is None else state["next"]
    done = first

    def note():
        value = {"settings": settings, "next": done, "left_out": left_out}
        write_note(notes, {**value, "writer": writer.state()})

    try:
        saved = time.monotonic()
        bar = tqdm(
            total=len(labels), initial=first, unit="image", disable=None if progress else True
        )
        with bar, contextlib.closing(_loaded(load, first, len(labels), workers)) as loaded:
            for number, data, reason in loaded:
                if reason is None:
                    try:
                        writer.add(data, labels[number])
                    except InputError as error:
                        reason = str(error)
                if reason is not None:
                    left_out.append((name(number), reason))
                done = number + 1
                bar.update()
                if time.monotonic() - saved > SAVE_EVERY:
                    note()
                    saved = time.monotonic()
        if not len(writer):
            first_reason = left_out[0][1] if left_out else "there were none"
            raise InputError(f"{out}: no image could be written ({first_reason})")
    except InputError:
        writer.discard()
        notes.unlink(missing_ok=True)
        raise
    except BaseException:
        note()
        writer.pause()
        raise
    images, identities = len(writer), writer.identities
    write_table(out / "left_out.csv", ("image", "reason"), left_out)
    if beside is not None:
        beside()
    writer.close()
    notes.unlink(missing_ok=True)
    return {"images": images, "identities": identities, "left_out": left_out}


def check_free(out, overwrite=False):
    """Return `out` as a path, after a look whether a set may be written there.

    Raises
    ------
    InputError
        When it is a file, or holds a set that may not be overwritten.
    """
    out = pathlib.Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a folder for the set was expected")
    if (out / "train.idx").exists() and not overwrite:
        raise InputError(f"{out} holds a set already; choose another folder, or add --overwrite")
    return out


def thread_count(workers):
    """Return how many threads to start: `workers`, by default one per usable core.

    Raises
    ------
    InputError
        When it is less than 1.
    """
    workers = usable_cores() if workers is None else workers
    if workers < 1:
        raise InputError(f"workers={workers}: 1 or more was expected")
    return workers


def set_stamp(dataset):
    """Return [path, bytes, modification time] of the records of a `RecordDataset`."""
    return [str(dataset.path.resolve()), *file_stamp(dataset.path)]


def digest(array):
    """Return the SHA-256 of an array: which images, in which order."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _open_writer(out, num_classes, plain, state):
    """Return a writer that goes on from `state`, and it; anew, and None, when that is not there."""
    if state is not None:
        try:
            return RecordWriter(out, num_classes, plain=plain, resume=state["writer"]), state
        except (DataError, InputError) as error:
            logger.warning("the work begins anew: %s", error)
    return RecordWriter(out, num_classes, plain=plain), None


def _read_notes(path, settings):
    """Return the notes of earlier work if it was this work, else None."""
    state = read_note(path)
    return state if state is not None and state["settings"] == settings else None


def _loaded(load, first, count, workers):
    """Yield (number, bytes, None) or (number, None, reason) in order; threads read ahead."""

    def task(number):
        try:
            return number, load(number), None
        except DataError as error:
            return number, None, str(error)
        except OSError as error:
            return number, None, f"it cannot be read: {error.strerror}"

    waiting = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        try:
            for number in range(first, count):
                waiting.append(pool.submit(task, number))
                if len(waiting) > 16 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def write_identities(out, head, rows):
    """Write ``identities.csv``: what each label stands for.

    Parameters
    ----------
    out : str or pathlib.Path
        The folder of the set.
    head : tuple of str
        Names of the columns; the first is the identity.
    rows : iterable of tuple
    """
    write_table(pathlib.Path(out) / "identities.csv", head, rows)
