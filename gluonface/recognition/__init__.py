"""What comes after the embedding: one person or two, and how sure.

`Calibration` says what a score means. The names are imported at first use.
"""

import typing

from ..lazy_names import lazy_names

if typing.TYPE_CHECKING:
    from .calibration import Calibration, Decision

__all__ = ["Calibration", "Decision"]

__getattr__, __dir__ = lazy_names(
    __name__, {"Calibration": ".calibration", "Decision": ".calibration"}
)
