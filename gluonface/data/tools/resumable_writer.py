"""Writing a training set from many images: in parallel, resumable, with a list of what failed."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import hashlib
import json
import logging
import pathlib
import time
import typing

import numpy as np
from tqdm import tqdm

from ..._compat import usable_cores
from ...errors import DataError, InputError
from ...files import StrPath
from ..prefetch import map_ahead
from ..recordio.identity_names import FILE, read_identity_names
from ..recordio.writer import LABEL_LIMIT, RecordWriter
from ..text_files import write_table
from .journal import read_checked_json, write_checked_json

__all__ = [
    "SAVE_EVERY",
    "check_free",
    "copy_images",
    "digest",
    "open_writer",
    "thread_count",
    "write_identities",
    "write_record_set",
    "write_renumbered",
]

logger = logging.getLogger(__name__)

SAVE_EVERY = 10.0  # seconds between two saved states of unfinished work


def write_record_set(
    out: StrPath,
    labels,
    load: typing.Callable[[int], bytes],
    settings: dict,
    name: typing.Callable[[int], str] = str,
    num_classes: int | None = None,
    plain: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    progress: bool = True,
    left_out: typing.Sequence[tuple[str, str]] = (),
    write_extras: typing.Callable[[], None] | None = None,
) -> dict:
    """Write images as a training set.

    The folder gets ``train.rec``, ``train.idx``, ``property`` and ``left_out.csv``. Interrupted
    work continues when the function is called with the same settings again.

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
    write_extras : callable, optional
        Writes the other files of the set; called before the records are renamed into place, so
        that a finished set has them.

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
    if len(labels) and not 0 <= labels.min() <= labels.max() < LABEL_LIMIT:
        raise InputError(
            f"labels {labels.min()} to {labels.max()}: 0 to {LABEL_LIMIT - 1} were expected, which "
            "is all that a record's label can hold"
        )
    out.mkdir(parents=True, exist_ok=True)
    state_file = out / ".writing.json"
    if num_classes is not None:
        num_classes = int(num_classes)
    workers = thread_count(workers)
    settings = {"labels": digest(labels), "classes": num_classes, "plain": plain, **settings}
    settings = json.loads(json.dumps(settings))
    writer, state = open_writer(out, state_file, settings, num_classes, plain, _is_state)
    rejected = [tuple(item) for item in (left_out if state is None else state["left_out"])]
    first = done = 0 if state is None else state["next"]

    def save_state():
        value = {"settings": settings, "next": done, "left_out": rejected}
        write_checked_json(state_file, {**value, "writer": writer.state()})

    try:
        saved = time.monotonic()
        bar = tqdm(
            total=len(labels), initial=first, unit="image", disable=None if progress else True
        )
        pool = concurrent.futures.ThreadPoolExecutor(workers)
        numbers = range(first, len(labels))
        loaded = map_ahead(pool, functools.partial(_try, load), numbers, 16 * workers)
        with bar, pool, contextlib.closing(loaded):
            for number, (data, reason) in zip(numbers, loaded):
                if reason is None:
                    try:
                        writer.add(data, labels[number])
                    except InputError as error:
                        reason = str(error)
                if reason is not None:
                    rejected.append((name(number), reason))
                done = number + 1
                bar.update()
                if time.monotonic() - saved > SAVE_EVERY:
                    save_state()
                    saved = time.monotonic()
        if not len(writer):
            first_reason = rejected[0][1] if rejected else "there were none"
            raise InputError(f"{out}: no image could be written ({first_reason})")
        images, identities = len(writer), writer.identities
        write_table(out / "left_out.csv", ("image", "reason"), rejected)
        if write_extras is not None:
            write_extras()
    except InputError:
        writer.discard()
        state_file.unlink(missing_ok=True)
        raise
    except BaseException:
        try:
            save_state()
        finally:
            if state_file.exists():
                writer.pause()
            else:  # nothing says how to go on
                writer.discard()
        raise
    writer.close()
    state_file.unlink(missing_ok=True)
    return {"images": images, "identities": identities, "left_out": rejected}


def _is_state(state):
    """Return whether a saved state has the form of those that `write_record_set` saves."""
    count, rejected = state.get("next"), state.get("left_out")
    return (
        type(count) is int
        and count >= 0
        and isinstance(rejected, list)
        and all(
            isinstance(item, list) and len(item) == 2 and all(isinstance(x, str) for x in item)
            for item in rejected
        )
    )


def _try(load, number):
    """Return (bytes, None) of an image, or (None, why it cannot be read)."""
    try:
        return load(number), None
    except DataError as error:
        return None, str(error)
    except OSError as error:
        return None, f"it cannot be read: {error.strerror}"


def copy_images(dataset, order, out, labels, settings, **options) -> dict:
    """Write images of a training set, byte by byte as they are, as a new one.

    Parameters
    ----------
    dataset : RecordDataset
    order : array (n,) int
        Which of its images, in this order.
    out, labels, settings, **options
        As for `write_record_set`.
    """
    return write_record_set(
        out,
        labels,
        lambda i: dataset.read(int(order[i])),
        {**settings, "of": dataset.stamp()},
        name=lambda i: f"record {dataset.key(int(order[i]))}",
        **options,
    )


def check_free(out: StrPath, overwrite: bool = False) -> pathlib.Path:
    """Return `out` as a path, after a check that a set may be written there.

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


def thread_count(workers: int | None) -> int:
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


def digest(array) -> str:
    """Return the SHA-256 of an array: which images, in which order."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def open_writer(
    folder: pathlib.Path,
    state_file: pathlib.Path,
    settings: dict,
    num_classes: int | None,
    plain: bool = False,
    check: typing.Callable[[dict], bool] = lambda state: True,
) -> tuple[RecordWriter, dict | None]:
    """Return a writer of a set, and the saved state from which it continues, if there is one.

    Parameters
    ----------
    folder : pathlib.Path
        The folder of the set.
    state_file : pathlib.Path
        Where `write_checked_json` saved ``{"settings": ..., "writer": writer.state(), ...}``.
    settings : dict
        A state with other settings is not used.
    num_classes, plain
        As for `RecordWriter`.
    check : callable, optional
        Whether the rest of a state can be one of the caller's: the folder may come from elsewhere.
    """
    state = read_checked_json(state_file)
    if isinstance(state, dict) and state.get("settings") == settings and check(state):
        try:
            resume = state.get("writer")
            return RecordWriter(folder, num_classes, plain=plain, resume=resume), state
        except (DataError, InputError) as error:
            logger.warning("the work begins again: %s", error)
    return RecordWriter(folder, num_classes, plain=plain), None


def write_identities(
    out: StrPath,
    head: tuple[str, ...],
    rows: typing.Iterable[tuple],
    names: typing.Mapping[tuple, str] | None = None,
) -> None:
    """Write ``identities.csv``: what each label stands for.

    Parameters
    ----------
    out : str or pathlib.Path
        The folder of the set.
    head : tuple of str
        Names of the columns; the first is the identity.
    rows : iterable of tuple
    names : dict of tuple to str, optional
        The name of a row without its first value, for sets that are made of others.
    """
    if names:
        head, rows = (*head, "name"), [(*row, names.get(tuple(row[1:]), "")) for row in rows]
    write_table(pathlib.Path(out) / FILE, head, rows)


def write_renumbered(dataset, out: StrPath, was: np.ndarray | None) -> None:
    """Write the ``identities.csv`` of a set that is made of another one, with the names of that.

    Parameters
    ----------
    dataset : RecordDataset
        The other set.
    out : str or pathlib.Path
        The folder of the set.
    was : array (c,) of int, or None
        What number each identity had; None: the same as now.
    """
    names = read_identity_names(dataset.path.parent)
    if was is not None:
        named = {(number,): name for number, name in names.items()}
        write_identities(out, ("identity", "was"), enumerate(was.tolist()), named)
    elif names:
        write_identities(out, ("identity", "name"), sorted(names.items()))
