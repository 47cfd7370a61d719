"""An import hook that prepares for MXNet when it is imported, by us or by any other package.

MXNet 1.9.1 needs names that newer Pythons and NumPys dropped, and reads its thread count once.
`_compat.prepare` sets all that and has to run just before MXNet's first line, also when GluonCV,
Horovod or the user imports it. This file is imported with the package, so it imports nothing heavy.
"""

import sys

__all__ = ["install"]


class _Preparation:
    """A finder for `mxnet` that calls `_compat.prepare` first. It finds no other module."""

    def find_spec(self, name, path=None, target=None):
        if name == "mxnet":
            from . import _compat

            _compat.prepare()
            sys.meta_path.remove(self)  # only now: a failed preparation fails the next time too
            return _compat.lean_spec(name)
        return None


def install():
    """Put the finder before all others, once."""
    if "mxnet" not in sys.modules and not any(
        isinstance(finder, _Preparation) for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, _Preparation())
