"""Every way in and out for weights: what a SOURCE means, the files of each toolkit, model cards.

No other room opens such files. Names are resolved on first use.
"""

import importlib

_LAZY = {"load_weights": "load"}

__all__ = ["load_weights"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
