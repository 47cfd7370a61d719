"""Pairs of names of the modules that several maps share: theirs, and ours."""

__all__ = ["BLOCK", "FIRST", "SEQUENTIAL", "conv_unit", "same", "se"]

SEQUENTIAL = ("0", "1", "2")  # of a Sequential of convolution, BatchNorm and activation
BLOCK = ("conv", "bn", "activ")
OURS = ("conv", "bn", "act")
FIRST = ("0", "1", "2", "3", "4", "5", "6", "7", "8")


def same(theirs, ours, names=FIRST):
    """Yield modules that both give the same names."""
    for name in names:
        yield f"{theirs}.{name}", f"{ours}.{name}"


def conv_unit(theirs, ours, names=BLOCK):
    """Yield the modules of one of our ConvBN."""
    for name, our in zip(names, OURS):
        yield f"{theirs}.{name}" if theirs else name, f"{ours}.{our}"


def se(theirs, ours, first="conv1", second="conv2"):
    """Yield the two layers of a squeeze-and-excitation module."""
    yield f"{theirs}.{first}", f"{ours}.fc1"
    yield f"{theirs}.{second}", f"{ours}.fc2"
