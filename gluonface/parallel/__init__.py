"""All that knows there is more than one process.

`PartialFC` is the classifier around a margin; a communicator (`Local` by default, `Horovod`)
is what it exchanges arrays through. Horovod is imported when one is made, not before.
"""

from .communicator import Horovod, Local
from .partial_fc import PartialFC

__all__ = ["Horovod", "Local", "PartialFC"]
