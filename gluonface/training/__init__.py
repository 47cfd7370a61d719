"""Training: configuration, the loop, its callbacks, schedules and checkpoints.

Names are resolved on first use; `gluonface.training.config` does not need MXNet.
"""

import importlib

_LAZY = {
    "Checkpoints": "checkpoint",
    "Config": "config",
    "Progress": "progress",
    "Trainer": "trainer",
    "Updates": "updates",
    "list_recipes": "recipes",
    "load_config": "recipes",
    "train": "run",
}

__all__ = [
    "Checkpoints",
    "Config",
    "Progress",
    "Trainer",
    "Updates",
    "list_recipes",
    "load_config",
    "train",
]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
