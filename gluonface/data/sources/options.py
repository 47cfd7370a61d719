"""What a user says about a source beyond its path."""

from __future__ import annotations

import dataclasses
import pathlib
import typing

from ...errors import InputError
from ...files import StrPath

__all__ = ["SourceOptions"]


@dataclasses.dataclass
class SourceOptions:
    """The options of `gluonface.data.open_source`, checked."""

    root: StrPath | None = None
    person: str | int | None = None
    split: str | None = None
    strip: str | None = None
    columns: typing.Any = None
    group: typing.Any = None
    allow_missing: bool = False

    def __post_init__(self):
        if self.root is not None:
            self.root = pathlib.Path(self.root)
            if not self.root.is_dir():
                raise InputError(
                    f"root {self.root} is not a folder; that of the images was expected"
                )
        self.person = _person(self.person)
        self.columns = _columns(self.columns)
        if isinstance(self.group, str):
            self.group = [name.strip() for name in self.group.split(",")]

    def allow(self, what: str, *names: str) -> None:
        """Refuse options that have no meaning for a form, which is called `what`.

        ``root`` and ``allow_missing`` are always allowed: where they mean nothing they do no harm.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value not in (None, {}) and field.name not in (*names, "root", "allow_missing"):
                raise InputError(
                    f"{field.name}={getattr(self, field.name)!r} has no meaning for {what}; leave "
                    "it out"
                )


def _person(value):
    """Return "first", "last", a depth from 1, or None."""
    if value is None:
        return None
    word = str(value).strip().lower()
    word = word[: -len("folder")].strip() if word.endswith("folder") else word
    if word in ("first", "last"):
        return word
    if word.isdecimal() and 1 <= int(word[:9]) < 100:
        return int(word)
    raise InputError(
        f"person={value!r}: first, last or the depth of the person's folder (1, 2, ...)"
    )


def _columns(value):
    """Return a dict of what to the name of its column."""
    if value is None:
        return {}
    if isinstance(value, str):
        pairs = [part.partition("=")[::2] for part in value.split(",")]
    else:
        pairs = list(value.items())
    found = {str(what).strip(): str(name).strip() for what, name in pairs}
    known = ("path", "image", "identity", "group")
    for what, name in found.items():
        if what not in known or not name:
            raise InputError(
                f"columns={value!r}: path=NAME,identity=NAME was expected (or image=, group=)"
            )
    return found
