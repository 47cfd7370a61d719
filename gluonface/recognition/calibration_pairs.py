"""The pairs that a model is calibrated on: of folders of people, of packs, of stored scores."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.arrays import load_arrays
from ..data.detectors import open_detector
from ..data.sources import open_source
from ..data.verification_pack import VerificationPack
from ..deploy.embedder import Embedder
from ..errors import DataError, InputError
from ..evaluation.files.embedding_cache import embed_images
from ..evaluation.files.image_list import FaceImages
from ..evaluation.files.text_tables import read_fields
from ..evaluation.protocols.verification import pack_outputs
from ..evaluation.scores.flip import merge_outputs, normalize_rows
from ..files import sha256
from ..weights.opened import AnySource, open_weights
from .calibration import Calibration
from .faces import CROPS, FaceReader

__all__ = ["CalibrationPairs", "all_pairs", "group_rates", "pairs_of_files"]

logger = logging.getLogger(__name__)

MOST = 10_000_000  # pairs: some 2.5 GB of memory and a minute (2 million took 0.65 GB and 12 s)


@dataclasses.dataclass(frozen=True, eq=False)
class CalibrationPairs:
    """Scores with their labels; what `Calibration.fit` takes.

    Attributes
    ----------
    score : numpy.ndarray, shape (n,)
        Minus infinity for a pair of which an image failed.
    issame : numpy.ndarray of bool, shape (n,)
    people : (numpy.ndarray, numpy.ndarray) or None
        Names, or numbers: their places in `names`.
    names : sequence of str or None
    norm : numpy.ndarray or None
        Lengths of the raw embeddings; None where the network normalises them itself.
    model, comparison, set : dict
    notes : tuple of str
    """

    score: np.ndarray
    issame: np.ndarray
    people: tuple[np.ndarray, np.ndarray] | None
    norm: np.ndarray | None
    model: dict[str, Any]
    comparison: dict[str, Any]
    set: dict[str, Any]
    notes: tuple[str, ...] = ()
    names: Sequence[str] | None = None


def pairs_of_files(
    model: AnySource,
    images: str | os.PathLike | None = None,
    packs: Sequence[str | os.PathLike] | None = None,
    scores: str | os.PathLike | None = None,
    detector: str = "none",
    flip: str = "sum",
    turn: bool = False,
    smallest: int = 20,
    name: str | None = None,
    batch_size: int = 64,
    ctx: Any = None,
    progress: bool = False,
) -> CalibrationPairs:
    """Return the scores of a model for pairs whose people are known to be the same or not.

    Parameters
    ----------
    model : str, pathlib.Path, Source or Weights
    images : str or pathlib.Path, optional
        A folder for each person. With a detector photographs, else crops.
    packs : sequence of str or pathlib.Path, optional
        Verification packs, of crops.
    scores : str or pathlib.Path, optional
        A .npz file with ``score``, ``issame`` and, if known, ``person_a`` and ``person_b``.
    detector, flip, turn, smallest
        As for `FaceReader`. Of packs and scores the detector only says what cut the faces out.
    name : str, optional
        Of the set.
    batch_size : int, default 64
    ctx
        As for `Embedder.load`.
    progress : bool, default False
        Show a bar on standard error.

    Returns
    -------
    CalibrationPairs

    Raises
    ------
    InputError, DataError
        Nothing or several things to read, a file that is damaged, or too many pairs.
    """
    if sum(source is not None for source in (images, packs, scores)) != 1:
        raise InputError("give one of: a folder of people, packs, or scores")
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; expected 1 or more")
    weights = open_weights(model)
    if not weights.identity.sha256:
        raise InputError(
            f"{weights} has random weights: a calibration is of a model that can be recognised"
        )
    if scores is not None:
        found = _of_scores(scores)
    elif packs is not None:
        found = _of_packs(Embedder.load(weights, ctx=ctx), packs, flip, batch_size, progress)
    elif detector == "none":
        embedder = Embedder.load(weights, ctx=ctx)
        found = _of_crops(embedder, images, flip, batch_size, progress)
    else:
        reader = FaceReader(weights, detector, flip, turn, smallest, ctx=ctx)
        found = _of_photos(reader, images, progress)
    cutter = open_detector(detector, smallest)
    return dataclasses.replace(
        found,
        model={**weights.identity.to_dict(), **found.model},
        comparison={
            "flip": flip,
            "template": "image",
            "input": CROPS if cutter is None else cutter.identity,
        },
        set={**found.set, "name": name or found.set["name"]},
    )


def _of_scores(path):
    arrays = load_arrays(path)
    if not isinstance(arrays, dict) or not {"score", "issame"} <= set(arrays):
        names = ", ".join(arrays) if isinstance(arrays, dict) else "one array"
        raise DataError(f"{path} holds {names or 'nothing'}; expected the arrays score and issame")
    sides = [arrays.get(name) for name in ("person_a", "person_b")]
    if (sides[0] is None) != (sides[1] is None):
        raise DataError(f"{path} has one of person_a and person_b; both are needed, or none")
    return CalibrationPairs(
        score=arrays["score"],
        issame=arrays["issame"],
        people=None if sides[0] is None else (sides[0], sides[1]),
        norm=None,
        model={},
        comparison={},
        set={"name": pathlib.Path(path).stem, "kind": "scores", "sha256": sha256(path)},
        notes=(_NO_NORM_OF_SCORES,) + (() if sides[0] is not None else (_NO_PEOPLE,)),
    )


_NO_PEOPLE = (
    "nobody says who is on the pictures: intervals are those of independent pairs, and too narrow "
    "where pairs share people"
)
_NO_NORM_OF_SCORES = "scores have no lengths of embeddings: the quality gate is off"
_NO_NORM = "the network normalises its embeddings itself: they have no length, the gate is off"


def _of_packs(embedder, paths, flip, batch_size, progress):
    scores, labels, lengths, digests = [], [], [], []
    packs = [VerificationPack.load(path) for path in paths]  # a wrong one costs no time
    for pack in packs:
        e, f = pack_outputs(embedder, pack, batch_size, progress)
        units = normalize_rows(merge_outputs(e, f, flip)).astype(np.float64)
        scores.append((units[0::2] * units[1::2]).sum(axis=1))
        labels.append(np.asarray(pack.issame, bool))
        lengths.append((e, f))
        digests.append(pack.sha256)
    e, f = (np.concatenate(side) for side in zip(*lengths))
    norm = _lengths(e, f, flip)
    return CalibrationPairs(
        score=np.concatenate(scores),
        issame=np.concatenate(labels),
        people=None,
        norm=norm,
        model={"embedding_size": embedder.embedding_size},
        comparison={},
        set={
            "name": " + ".join(pack.name for pack in packs),
            "kind": "pack",
            "sha256": _joined(digests),
        },
        notes=(_NO_PEOPLE,) + (() if norm is not None else (_NO_NORM,)),
    )


def _of_crops(embedder, folder, flip, batch_size, progress):
    source = open_source(folder)
    _check_number(len(source))
    people = [source.identity(row) for row in range(len(source))]
    held = embed_images(embedder, FaceImages(source), batch_size=batch_size, progress=progress)
    return _of_folder(embedder, folder, people, held.e, held.f, held.failed, flip, held.sha256)


def _of_photos(reader, folder, progress):
    import tqdm

    source = open_source(folder)
    _check_number(len(source))
    people = [source.identity(row) for row in range(len(source))]
    size = reader.embedder.embedding_size
    e, f = np.zeros((2, len(source), size), np.float32)
    failed, digest = np.zeros(len(source), bool), hashlib.sha256()
    for row in tqdm.trange(len(source), unit="photo", disable=not progress or None):
        name, content = source.name(row), source.read(row)
        digest.update(hashlib.sha256(content).digest())
        try:
            faces = reader.read(content)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        if not faces:
            failed[row] = True
            logger.warning("no face was found in %s: its pairs count as failures", name)
            continue
        (e[row],), (f[row],) = reader.embedder.embed_views(faces[0].crop)
    args = folder, people, e, f, failed, reader.flip, digest.hexdigest()
    return _of_folder(reader.embedder, *args)


def _of_folder(embedder, folder, people, e, f, failed, flip, digest):
    outputs = merge_outputs(e, f, flip)
    score, issame, sides = all_pairs(outputs, people, failed)
    norm = _lengths(e[~failed], f[~failed], flip)
    notes = () if norm is not None else (_NO_NORM,)
    if failed.any():
        notes += (f"{failed.sum()} of {len(failed)} pictures have no face: they count as failures",)
    return CalibrationPairs(
        score=score,
        issame=issame,
        people=sides,
        norm=norm,
        model={"embedding_size": embedder.embedding_size},
        comparison={},
        set={"name": pathlib.Path(folder).resolve().name, "kind": "folder", "sha256": digest},
        notes=notes,
        names=np.unique(np.asarray(people)).tolist(),
    )


def all_pairs(
    outputs: np.ndarray, people: Sequence[str], failed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Compare every image with every other.

    Parameters
    ----------
    outputs : numpy.ndarray, shape (n, D)
        Any length.
    people : sequence of str, length n
        Who is on each.
    failed : numpy.ndarray of bool, shape (n,), optional
        Images without an embedding: the score of their pairs is minus infinity.

    Returns
    -------
    score : numpy.ndarray, shape (n (n - 1) / 2,)
        float64 cosines.
    issame : numpy.ndarray of bool
    people : (numpy.ndarray, numpy.ndarray)
        Their numbers in the order of their names, on either side of each pair.
    """
    _check_number(len(outputs))
    units = normalize_rows(outputs).astype(np.float64)
    lost = ~units.any(axis=1) if failed is None else failed | ~units.any(axis=1)
    number = np.unique(np.asarray(people), return_inverse=True)[1].astype(np.int32)
    scores, first, second = [], [], []
    for row in range(len(units) - 1):
        score = units[row + 1 :] @ units[row]
        score[lost[row + 1 :] | lost[row]] = -np.inf
        scores.append(score)
        first.append(np.full(len(score), number[row]))
        second.append(number[row + 1 :])
    if not scores:
        raise InputError(f"there are {len(units)} images; a calibration needs many pairs")
    a, b = np.concatenate(first), np.concatenate(second)
    return np.concatenate(scores), a == b, (a, b)


def _check_number(images):
    pairs = images * (images - 1) // 2
    if pairs > MOST:
        most = int((2 * MOST) ** 0.5)
        raise InputError(
            f"{images:,} images make {pairs:,} pairs, more than the {MOST:,} that are held in "
            f"memory: give {most:,} images or fewer. People count, not images: leave out images "
            "of each"
        )


def _lengths(e, f, flip):
    """Return the lengths of raw embeddings; None if the network normalises them itself."""
    plain = np.linalg.norm(e.astype(np.float64), axis=1)
    if not len(plain) or np.ptp(plain) < 1e-3 * plain.mean():
        return None
    if flip == "none":
        return plain
    return np.linalg.norm(merge_outputs(e, f, flip, np.float64), axis=1)


def _joined(digests):
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def group_rates(
    pairs: CalibrationPairs, calibration: Calibration, path: str | os.PathLike
) -> list[tuple[str, int, int]]:
    """Return the false matches within each group of people, at the calibration's default threshold.

    Parameters
    ----------
    pairs : CalibrationPairs
        With people.
    calibration : Calibration
    path : str or pathlib.Path
        Lines of a person and a group.

    Returns
    -------
    list of (name, false matches, pairs of two people of that group)

    Raises
    ------
    InputError
        People are not known.
    DataError
        A malformed line, or a person of the set without a group.
    """
    if pairs.people is None:
        raise InputError("--group needs people: --images, or --scores with person_a and person_b")
    group: dict[str, str] = {}
    for number, line, fields in read_fields(path, "a list of PERSON,GROUP", "\t,"):
        if len(fields) != 2:
            raise DataError(f"{path}, line {number}: {line[:80]!r}; expected PERSON,GROUP")
        if group.setdefault(fields[0], fields[1]) != fields[1]:
            raise DataError(f"{path}, line {number}: {fields[0]} is in two groups")
    sides = np.concatenate([np.asarray(side) for side in pairs.people])
    known, place = np.unique(sides, return_inverse=True)
    people = [str(one) for one in (known if pairs.names is None else np.array(pairs.names)[known])]
    missing = [name for name in people if name not in group]
    if missing:
        raise DataError(f"{path} has no group of {missing[0]} and {len(missing) - 1} other people")
    names = sorted({group[name] for name in people})
    of = np.array([names.index(group[name]) for name in people])
    a, b = np.split(of[place.reshape(-1)], 2)
    matched = pairs.score > calibration.default_point.threshold
    inside = (a == b) & ~pairs.issame
    return [
        (
            name,
            int(np.count_nonzero(inside & (a == number) & matched)),
            int(np.count_nonzero(inside & (a == number))),
        )
        for number, name in enumerate(names)
    ]
