"""Where class centres and optimizer state are kept: a GPU's memory, host memory, or disk."""

from .disk import DiskStore
from .host import HostStore
from .memory import DeviceStore

__all__ = ["PLACES", "DeviceStore", "DiskStore", "HostStore", "make_store"]

PLACES = ("memory", "host", "disk")


def make_store(place, ctx, classes, path=None, label="head"):
    """Return the store of a number of classes for one of `PLACES`."""
    if place == "disk":
        return DiskStore(classes, ctx, path, label)
    if place == "memory" and ctx.device_type != "cpu":
        return DeviceStore(classes, ctx)
    return HostStore(classes, ctx)
