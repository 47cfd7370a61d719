"""An import hook that prepares for MXNet when it is imported, by us or by any other package.

MXNet 1.9.1 needs names that newer Pythons and NumPys dropped, and reads its thread count once.
`_compat.prepare` runs just before MXNet's first line, and `_mxnet_repairs` loads MXNet's modules,
also when GluonCV, Horovod or the user imports it. This file is imported with the package, so it
imports nothing heavy.
"""

import sys

__all__ = ["install"]


class _Preparation:
    """A finder for MXNet's modules that prepares for them. It finds no other module."""

    def find_spec(self, name, path=None, target=None):
        if name != "mxnet" and not name.startswith("mxnet."):
            return None
        from . import _compat, _mxnet_repairs

        if name == "mxnet" and name not in sys.modules:  # not when it is loaded again
            _compat.prepare()
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find and finder is not self else None
            if spec is not None:
                return _mxnet_repairs.load_with_repairs(spec)
        return None


def install():
    """Put the finder before all others, once."""
    if "mxnet" not in sys.modules and not any(
        isinstance(finder, _Preparation) for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, _Preparation())
