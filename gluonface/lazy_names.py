"""Names of a package that are imported when they are first used.

So that `import gluonface`, `gluonface --help` and the metrics, which are pure NumPy, need no MXNet.
"""

from __future__ import annotations

import importlib
import sys
import typing
from collections.abc import Callable, Mapping

__all__ = ["lazy_names"]


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], typing.Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    modules : dict of str to str
        Name -> the module that defines it, or the package that it is a module of. A full name, or
        one that begins with a dot and is relative to `package`.
    """

    def get(name: str) -> typing.Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(modules[name], package)
        if not hasattr(module, name):  # the name is that of a module in a package
            importlib.import_module(f"{module.__name__}.{name}")
        return getattr(module, name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names
