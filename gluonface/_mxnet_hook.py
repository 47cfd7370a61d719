"""Makes `import mxnet` work after `import gluonface`, whoever says it: GluonCV, Horovod, the user.

MXNet 1.9.1 needs names that newer Pythons and NumPys dropped, and reads its thread count once. All
of that is done in `_compat.prepare`, which must run just before MXNet's first line. This file is
imported with the package and so imports nothing itself.
"""

import sys

__all__ = ["install"]


class _Preparation:
    """A finder that is asked for `mxnet` before anybody loads it, and finds nothing else."""

    def find_spec(self, name, path=None, target=None):
        if name == "mxnet":
            from . import _compat

            _compat.prepare()
            sys.meta_path.remove(self)  # only now: a failed preparation fails the next time too
            return _compat.lean_spec(name)
        return None


def install():
    """Put the preparation before all finders, once."""
    if "mxnet" not in sys.modules and not any(
        isinstance(finder, _Preparation) for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, _Preparation())
