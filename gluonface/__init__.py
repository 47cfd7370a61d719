"""gluonface: train, evaluate and ship face-recognition models with Apache MXNet/Gluon.

Importing this package costs nothing: MXNet is loaded when a name that needs it is first used.
After it, a plain `import mxnet` works too, on Pythons and NumPys newer than MXNet.
"""

import importlib

from ._mxnet_hook import install as _install_mxnet_hook

_install_mxnet_hook()

__version__ = "0.1.0"

# Name -> module that defines it. Resolved on first use so that `import gluonface`,
# `gluonface --help` and the pure-NumPy metrics work without MXNet installed.
_LAZY = {
    "get_model": "gluonface.model_zoo",
    "list_models": "gluonface.model_zoo",
    "get_loss": "gluonface.loss",
    "list_losses": "gluonface.loss",
}

__all__ = ["__version__", "get_loss", "get_model", "list_losses", "list_models"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gluonface' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
