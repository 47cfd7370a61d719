"""All that knows there is more than one process.

`PartialFC` is the classifier around a margin; a communicator (`Local` by default, `Horovod`)
is what it exchanges arrays through. Horovod is imported when a `Horovod` is made, not before.
"""

import importlib

# Resolved on first use: `gluonface.parallel.launch` must not import MXNet, whose thread count
# would then be settled before there are any ranks to share the cores.
_LAZY = {
    "Horovod": "communicator",
    "Local": "communicator",
    "PartialFC": "partial_fc",
}

__all__ = ["Horovod", "Local", "PartialFC"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
