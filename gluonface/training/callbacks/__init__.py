"""Callbacks of the training loop, one file each.

A callback has methods named after the events of `gluonface.training.Trainer`, which get the
trainer. It observes training and may stop it.
"""

from .checkpointing import SaveCheckpoints
from .console import ConsoleLog, ProgressBar
from .csv_files import CsvFiles
from .curves import Curves
from .nan_guard import NanGuard
from .stop_signals import StopSignals
from .tensorboard import TensorBoard
from .verification import Verification

__all__ = [
    "ConsoleLog",
    "CsvFiles",
    "Curves",
    "NanGuard",
    "ProgressBar",
    "SaveCheckpoints",
    "StopSignals",
    "TensorBoard",
    "Verification",
]
