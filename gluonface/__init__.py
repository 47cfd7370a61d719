"""gluonface: train, evaluate and ship face-recognition models with Apache MXNet/Gluon.

Importing this package does not import MXNet; the first use of a name that needs MXNet does. After
the import a plain `import mxnet` works too, on Pythons and NumPys newer than MXNet.
"""

import importlib
from typing import TYPE_CHECKING

from ._mxnet_hook import install as _install_mxnet_hook

if TYPE_CHECKING:
    from .loss import get_loss, list_losses
    from .model_zoo import get_model, list_models

_install_mxnet_hook()

__version__ = "0.1.0"

# Name -> module that defines it. The module is imported when the name is first used, so that
# `import gluonface`, `gluonface --help` and the metrics in NumPy work without MXNet.
_LAZY = {
    "get_model": "gluonface.model_zoo",
    "list_models": "gluonface.model_zoo",
    "get_loss": "gluonface.loss",
    "list_losses": "gluonface.loss",
}

__all__ = ["__version__", "get_loss", "get_model", "list_losses", "list_models"]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gluonface' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
