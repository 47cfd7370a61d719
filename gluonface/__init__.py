"""gluonface: train, evaluate and ship face-recognition models with Apache MXNet/Gluon.

Importing this package does not import MXNet; the first use of a name that needs MXNet does. After
the import a plain `import mxnet` works too, on Pythons and NumPys newer than MXNet.
"""

from typing import TYPE_CHECKING

from ._mxnet_hook import install as _install_mxnet_hook
from .lazy_names import lazy_names

if TYPE_CHECKING:
    from .loss import get_loss, list_losses
    from .model_zoo import get_model, list_models

_install_mxnet_hook()

__version__ = "0.1.0"

__all__ = ["__version__", "get_loss", "get_model", "list_losses", "list_models"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "get_loss": ".loss",
        "get_model": ".model_zoo",
        "list_losses": ".loss",
        "list_models": ".model_zoo",
    },
)
