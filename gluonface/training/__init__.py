"""Training: configuration, the loop, its callbacks, schedules and checkpoints.

Names are imported on first use; `gluonface.training.config` does not need MXNet.
"""

import typing

from ..lazy_names import lazy_names

if typing.TYPE_CHECKING:
    from .checkpoint.checkpoints import Checkpoints
    from .config.config import Config
    from .config.recipes import list_recipes, load_config
    from .optimizer_step import OptimizerStep
    from .progress import Progress
    from .run import train
    from .trainer import Trainer

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Checkpoints": ".checkpoint.checkpoints",
        "Config": ".config.config",
        "OptimizerStep": ".optimizer_step",
        "Progress": ".progress",
        "Trainer": ".trainer",
        "list_recipes": ".config.recipes",
        "load_config": ".config.recipes",
        "train": ".run",
    },
)
