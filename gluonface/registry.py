"""The registry: entries found by name or alias, listed by wildcard, with suggestions for others."""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import pkgutil
import re
import typing

from .errors import InputError

__all__ = ["Registry", "import_modules", "unknown_name"]


def import_modules(package: str, path: typing.Iterable[str]) -> None:
    """Import the public modules of a package, which register their entries.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    path : iterable of str
        Its ``__path__``.
    """
    for module in pkgutil.iter_modules(path):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package}.{module.name}")


def _natural_key(name):
    """Sort key by which ``iresnet50`` comes before ``iresnet100``."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


Names = list[str]  # in the class `list` is a method


class Registry:
    """Entries that users find by name.

    Parameters
    ----------
    kind : str
        The noun for one entry in messages, such as ``"model"`` or ``"loss"``.

    Examples
    --------
    >>> models = Registry("model")
    >>> @models.register("net10", aliases=("n10",))
    ... def net10():
    ...     return 10
    >>> models.get("N10")()
    10
    >>> models.list("net*")
    ['net10']
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, typing.Any] = {}
        self._aliases: dict[str, str] = {}

    def register(
        self, name: str, aliases: typing.Iterable[str] = ()
    ) -> typing.Callable[[typing.Any], typing.Any]:
        """Return a decorator that registers its argument under `name` and `aliases`.

        Raises
        ------
        ValueError
            If a name is taken, or `name` is not in lower case.
        """

        def decorator(entry):
            for key in (name, *aliases):
                if key.lower() in self._entries or key.lower() in self._aliases:
                    raise ValueError(f"the {self.kind} name {key!r} is registered twice")
            if name != name.lower():
                raise ValueError(f"{self.kind} names are lower case, got {name!r}")
            self._entries[name] = entry
            self._aliases.update({alias.lower(): name for alias in aliases})
            return entry

        return decorator

    def resolve(self, name: str) -> str:
        """Return the registered name that `name` (any case, or an alias) stands for.

        Raises
        ------
        InputError
            If nothing is registered under it; the message suggests the nearest names.
        """
        key = str(name).lower()
        key = self._aliases.get(key, key)
        if key in self._entries:
            return key
        raise unknown_name(name, self)

    def get(self, name: str) -> typing.Any:
        """Return the entry registered under `name` (any case) or under an alias."""
        return self._entries[self.resolve(name)]

    def aliases(self, name: str) -> Names:
        """Return the aliases of a registered name, sorted."""
        return sorted(alias for alias, target in self._aliases.items() if target == name)

    def list(self, pattern: str = "*") -> Names:
        """Return the registered names that match a shell wildcard, in natural order."""
        names = fnmatch.filter(self._entries, str(pattern or "*").lower())
        return sorted(names, key=_natural_key)

    def __contains__(self, name: object) -> bool:
        key = str(name).lower()
        return key in self._entries or key in self._aliases

    def __len__(self) -> int:
        return len(self._entries)


def unknown_name(name: str, *registries: Registry) -> InputError:
    """Return the `InputError` for a name that none of the registries has; it suggests near ones."""
    names: dict[str, None] = {}
    known: dict[str, None] = {}
    for registry in registries:
        for key in registry.list():
            names[key] = None
            known.update(dict.fromkeys([key, *registry.aliases(key)]))
    near = difflib.get_close_matches(str(name).lower(), known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(repr(key) for key in near)}? " if near else ""
    return InputError(
        f"unknown {registries[0].kind} {name!r}. {hint}Known: {', '.join(names) or 'none'}."
    )
