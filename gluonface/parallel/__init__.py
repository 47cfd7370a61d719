"""More than one process: communicators, agreement between ranks, liveness, launching.

A communicator (`Local` by default, `Horovod`) is what ranks exchange arrays through. Horovod is
imported when a `Horovod` is made, not before. `PartialFC` is defined in `gluonface.head`.
"""

import typing

from ..lazy_names import lazy_names

if typing.TYPE_CHECKING:
    from .communicator import Horovod, Local

__all__ = ["Horovod", "Local", "PartialFC"]

# On first use: `gluonface.parallel.launch` must not import MXNet, whose thread count would then be
# settled before there are any ranks to share the cores.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Horovod": ".communicator",
        "Local": ".communicator",
        "PartialFC": "gluonface.head.partial_fc",
    },
)
