"""Evaluation: metrics on arrays, protocols, named results, plots and reports.

``metrics`` is pure NumPy. ``verification`` runs the pair protocol of LFW and its kin. Importing
this package loads neither MXNet nor matplotlib; the names below are found at first use.
"""

import importlib

__all__ = ["VerificationResult", "evaluate", "evaluate_pack", "evaluate_variants"]

_HOMES = {
    "VerificationResult": "results",
    "evaluate": "verification",
    "evaluate_pack": "verification",
    "evaluate_variants": "verification",
}


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__():
    return sorted(__all__)
