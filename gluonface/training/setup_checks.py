"""What is checked before a run begins; all that is wrong is told at once."""

from __future__ import annotations

import pathlib
import typing

from ..errors import GluonfaceError, InputError

__all__ = ["Problems", "open_training_set", "require_batch"]

T = typing.TypeVar("T")


class _SeveralErrors(InputError):
    """Errors, of which each is shown on a line of its own."""

    def __str__(self):
        lines = "".join(f"\n  {n}. {error}" for n, error in enumerate(self.args, start=1))
        return f"{len(self.args)} things are wrong:{lines}"


class Problems:
    """Collects the errors of checks that do not depend on each other."""

    def __init__(self):
        self._found: list[GluonfaceError] = []

    def __bool__(self):
        return bool(self._found)

    def of(self, check: typing.Callable[[], T]) -> T | None:
        """Return what `check` returns; when it raises, keep the error and return None."""
        try:
            return check()
        except GluonfaceError as error:
            self._found.append(error)
        except OSError as error:
            where = "" if error.filename is None else f"{error.filename}: "
            self._found.append(InputError(f"{where}{error.strerror or error}"))
        return None

    def raise_all(self) -> None:
        """Raise the error that was kept, or one with the messages of several."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise _SeveralErrors(*self._found)


def open_training_set(path: str | None) -> typing.Any:
    """Return the `RecordDataset` to train on.

    Raises
    ------
    InputError
        When there is none, it has to be packed first, or it holds one person alone.
    DataError
        When it is damaged.
    """
    from ..data import RecordDataset
    from ..data.sources.photo_folder import is_photo

    if path is None:
        raise InputError("no training data: give --data DIR (or data.path in the configuration)")
    folder = pathlib.Path(path)
    if not folder.exists():
        raise InputError(
            f"--data {folder} is not there, seen from {pathlib.Path.cwd()}; a folder with "
            "train.rec or a .rec file was expected. Of a run that is resumed, --data DIR says "
            "where the data are now"
        )
    if folder.is_dir() and not any(folder.glob("*.rec")):
        inside = [folder, *(one for one in sorted(folder.iterdir())[:100] if one.is_dir())]
        if any(is_photo(file.name) for one in inside for file in one.iterdir()):
            packed = folder.with_name(f"{folder.resolve().name}-packed")
            raise InputError(
                f"--data {folder} holds images, and training reads records: "
                f"`gluonface data pack {folder} {packed}` makes them, then --data {packed}"
            )
    dataset = RecordDataset(path)
    if dataset.num_classes < 2:
        raise InputError(
            f"{dataset.path} holds one person; a loss learns to tell people apart and needs two "
            "or more. Pack the folder that holds a folder per person"
        )
    return dataset


def require_batch(batch_size: int, accumulate: int, ranks: int, devices: int | None) -> None:
    """Raise InputError if a batch cannot be divided over ranks, micro-batches and devices."""
    micro_batches = ranks * accumulate
    if batch_size % micro_batches:
        cut = f" in {accumulate} micro-batches (train.accumulate)" if accumulate > 1 else ""
        raise InputError(
            f"data.batch_size = {batch_size} cannot be divided over {ranks} processes{cut}; "
            "it counts the images of a step, all processes together"
        )
    if devices is not None and batch_size // micro_batches < devices:
        raise InputError(
            f"data.batch_size = {batch_size} leaves nothing to do for some of the {devices} "
            "devices of each process"
        )
