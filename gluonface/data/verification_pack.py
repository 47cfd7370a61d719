"""Verification packs: the `.bin` files of LFW, CFP-FP, AgeDB-30 and their like.

A pack is a pickle of ``(bins, issame)`` where ``bins[2i]`` and ``bins[2i + 1]`` are the encoded
images of pair i, as it is or compressed (`hadrian.xz`). A pickle can run code, so it is read by
`gluonface.data.unpickle`, which allows the few names that such a file needs and refuses all others.
"""

from __future__ import annotations

import logging
import pathlib
import typing

import numpy as np

from ..errors import DataError, InputError
from ..files import StrPath, atomic_write, require_no_stand_in, sha256
from . import images, unpickle
from .formats.compressed import MOST, compression_of, open_compressed, read_unpacked
from .formats.file_kind import recognise_file

__all__ = ["VerificationPack", "is_pack"]

logger = logging.getLogger(__name__)

# A compressed pack unpacks to at most 64 MiB or 200 times its size, whichever is more.
_SMALL, _MOST_GROWTH = 64 << 20, 200


def _as_bytes(element):
    """Return one element of `bins` as bytes, or None when it is no encoded image."""
    if isinstance(element, (bytes, bytearray)):
        return bytes(element)
    if isinstance(element, str):  # Python 2 str read with encoding="latin1"
        try:
            return element.encode("latin-1")
        except UnicodeEncodeError:
            return None
    if isinstance(element, np.ndarray) and element.dtype == np.uint8:
        return element.tobytes()
    return None


class VerificationPack:
    """Pairs of face images, each pair of the same person or of two.

    Parameters
    ----------
    bins : sequence of bytes
        The encoded images (JPEG or PNG), 2n of them; 2i and 2i + 1 are pair i. uint8 arrays of
        encoded bytes are taken too.
    issame : sequence of bool
        n values, whether pair i shows the same person; floats of exactly 0 and 1 are taken too.
    name : str, optional
        A name for tables.
    size : int, default 112
        Height and width of the images that are returned. Images of another size are resized so
        that the shorter edge fits, and the middle is cut out.
    folds : sequence of int, optional
        The fold of each pair, where the pairs came with folds.
    groups : sequence of str, optional
        The group of each pair.
    group_lists : bool, default False
        Whether each group is a list of its own, with folds of its own, as in RFW.

    Attributes
    ----------
    issame : numpy.ndarray
        bool (n,).
    folds, groups : numpy.ndarray of int and list of str, of length n, or None
    group_lists : bool
    name, sha256, size
        The name; the SHA-256 of the file, or None when the pack was not loaded from one; the size.

    Raises
    ------
    DataError
        When the two lists do not fit each other or an element is no encoded image.
    """

    def __init__(
        self,
        bins: typing.Sequence,
        issame: typing.Sequence,
        name: str = "pack",
        size: int = 112,
        folds: typing.Sequence[int] | None = None,
        groups: typing.Sequence[str] | None = None,
        group_lists: bool = False,
    ):
        self.name = name
        self.sha256: str | None = None
        self.size = size
        if not isinstance(bins, (list, tuple, np.ndarray)):
            raise DataError(f"{name}: bins are {unpickle.describe(bins)}; a list was expected")
        self.bins: typing.Any = [_as_bytes(element) for element in bins]
        self.issame = _as_flags(issame, name)
        if len(self.bins) != 2 * len(self.issame):
            raise DataError(
                f"{name}: {len(self.bins)} images and {len(self.issame)} pair labels; each pair "
                f"has two images, so {2 * len(self.issame)} were expected"
            )
        if not self.bins:
            raise DataError(f"{name}: the pack has no pairs")
        if None in self.bins:
            number = self.bins.index(None)
            raise DataError(
                f"{name}: element {number} is {unpickle.describe(bins[number])}; the bytes of an "
                "encoded image were expected"
            )
        self.folds = None if folds is None else np.array(folds, np.int64)
        self.groups = None if groups is None else list(groups)
        self.group_lists = group_lists
        for values, what in ((self.folds, "folds"), (self.groups, "groups")):
            if values is not None and len(values) != len(self.issame):
                raise DataError(
                    f"{name}: {len(values)} {what} for {len(self.issame)} pairs; one each expected"
                )
        if self.issame.all() or not self.issame.any():
            logger.warning(
                "%s: all %d pairs are of %s; accuracy and error rates need both kinds",
                name,
                len(self),
                "the same person" if self.issame[0] else "different people",
            )

    @classmethod
    def load(cls, path: StrPath, size: int = 112) -> VerificationPack:
        """Read a pack written by Python 2 or 3, any protocol; compressed or not.

        Parameters
        ----------
        path : str or pathlib.Path
            The file.
        size : int, default 112
            As in the constructor.

        Raises
        ------
        InputError
            When there is no such file.
        DataError
            When it is cut short, is no pickle, names anything but bytes and arrays, or its
            content is not that of a pack.
        """
        path = pathlib.Path(path)
        try:
            length, digest = path.stat().st_size, sha256(path)
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}); a verification pack (.bin) was expected"
            ) from error
        require_no_stand_in(path)
        try:
            bins, issame, facts = unpickle.load_pair(_read(path, length))
            pack = cls(bins, issame, name=path.stem, size=size, **_more(facts))
        except DataError as error:
            raise DataError(f"{path} ({length} bytes) is refused: {error}") from error
        pack.sha256 = digest
        return pack

    def save(self, path: StrPath) -> None:
        """Write the pack as a pickle of (list of bytes, list of bool), protocol 4.

        Folds and groups follow after its end, where other readers stop.
        """
        facts: dict[str, typing.Any] = {}
        if self.folds is not None:
            facts["folds"] = self.folds.tolist()
        if self.groups is not None:
            names = sorted(set(self.groups))
            number = {name: place for place, name in enumerate(names)}
            facts["groups"] = {"names": names, "of": [number[group] for group in self.groups]}
            facts["groups"]["lists"] = self.group_lists
        data = unpickle.dump_pair(self.bins, [bool(same) for same in self.issame], facts)
        with atomic_write(path) as file:
            file.write(data)

    def __len__(self) -> int:
        return len(self.issame)

    def image(self, number: int) -> np.ndarray:
        """Return image `number` of the 2n as uint8 (size, size, 3) RGB.

        Raises
        ------
        DataError
            When it cannot be decoded; names the pack and the element.
        """
        if not 0 <= number < len(self.bins):
            raise InputError(f"{self.name} has images 0 to {len(self.bins) - 1}, not {number}")
        try:
            image = images.decode(self.bins[number])
            return images.fit(image, self.size)
        except DataError as error:
            raise DataError(
                f"{self.name}: image {number} (pair {number // 2}) cannot be used: {error}"
            ) from error

    def images(self, pair: int) -> np.ndarray:
        """Return the two images of a pair as uint8 (2, size, size, 3) RGB."""
        if not 0 <= pair < len(self):
            raise InputError(f"{self.name} has pairs 0 to {len(self) - 1}, not {pair}")
        return np.stack([self.image(2 * pair), self.image(2 * pair + 1)])

    def iter_batches(self, batch_size: int = 64) -> typing.Iterator[np.ndarray]:
        """Yield all 2n images in order as uint8 (b, size, size, 3) RGB, b <= `batch_size`."""
        if batch_size < 1:
            raise InputError(f"batch_size {batch_size}: 1 or more was expected")
        for start in range(0, len(self.bins), batch_size):
            stop = min(start + batch_size, len(self.bins))
            yield np.stack([self.image(number) for number in range(start, stop)])


def is_pack(path: StrPath) -> bool:
    """Return whether a path is that of a pack: called ``.bin``, or a pickle, compressed or not."""
    path = pathlib.Path(path)
    if path.suffix.lower() == ".bin":
        return True
    try:
        return path.is_file() and recognise_file(path).form == "pickle"
    except (DataError, InputError):  # whoever opens it says what is wrong
        return False


def _read(path, length):
    """Return the pickle in a file, unpacked within bounds if it is compressed."""
    with open(path, "rb") as file:
        kind = compression_of(file.read(8))
    if kind is not None:
        with open_compressed(path, 64) as stream:
            start = stream.read(64)
        # Protocol 2 and later begin with 80; a tuple or a list of protocol 0 and 1 with ( or ].
        if start[:1] not in (b"\x80", b"(", b"]"):
            raise DataError(
                f"it is compressed ({kind}), and what it unpacks to is no pack: it starts with "
                f"{start[:8]!r}"
            )
    # Encoded images do not shrink; what grows so far is not made of them.
    return read_unpacked(path, min(MOST, max(_SMALL, _MOST_GROWTH * length)))


def _more(facts):
    """Return folds and groups of a pack that `save` wrote."""
    found: dict[str, typing.Any] = {}
    try:
        if "folds" in facts:
            found["folds"] = np.array(facts["folds"], np.int64)
        if "groups" in facts:
            names = [str(name) for name in facts["groups"]["names"]]
            found["groups"] = [names[number] for number in facts["groups"]["of"]]
            found["group_lists"] = facts["groups"].get("lists") is True
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise DataError(f"the folds or groups after its end are none: {error}") from error
    return found


def _as_flags(issame, name):
    if not isinstance(issame, (list, tuple, np.ndarray)):
        raise DataError(
            f"{name}: issame is {unpickle.describe(issame)}; a list of bool was expected"
        )
    for number, value in enumerate(issame):
        value = value.item() if isinstance(value, np.generic) else value
        if not isinstance(value, (bool, int, float)) or value not in (0, 1):
            shown = repr(value) if isinstance(value, float) else unpickle.describe(value)
            raise DataError(f"{name}: issame[{number}] is {shown}; True or False was expected")
    return np.array([bool(value) for value in issame], dtype=bool)
