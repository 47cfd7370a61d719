"""What watches the training loop: one file per behaviour.

A callback has methods named after the events of `gluonface.training.Trainer` and takes the
trainer. It observes; all it may do to training is ask it to stop.
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
