"""Training: configuration, the loop, its callbacks, schedules and checkpoints.

Names are resolved on first use; `gluonface.training.config.config` does not need MXNet.
"""

import importlib

_LAZY = {
    "Checkpoints": "checkpoint.checkpoints",
    "Config": "config.config",
    "Progress": "progress",
    "Trainer": "trainer",
    "OptimizerStep": "optimizer_step",
    "list_recipes": "config.recipes",
    "load_config": "config.recipes",
    "train": "run",
}

__all__ = [
    "Checkpoints",
    "Config",
    "OptimizerStep",
    "Progress",
    "Trainer",
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
