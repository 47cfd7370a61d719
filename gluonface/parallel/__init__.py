"""More than one process: communicators, agreement between ranks, liveness, launching.

A communicator (`Local` by default, `Horovod`) is what ranks exchange arrays through. Horovod is
imported when a `Horovod` is made, not before. `PartialFC` is defined in `gluonface.head`.
"""

import importlib

# Resolved on first use: `gluonface.parallel.launch` must not import MXNet, whose thread count
# would then be settled before there are any ranks to share the cores.
_LAZY = {
    "Horovod": "gluonface.parallel.communicator",
    "Local": "gluonface.parallel.communicator",
    "PartialFC": "gluonface.head.partial_fc",
}

__all__ = ["Horovod", "Local", "PartialFC"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
