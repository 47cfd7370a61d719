"""Evaluation: metrics on arrays, scores, protocols, named results and their report.

``metrics`` is pure NumPy. ``verification`` runs the pair protocol of LFW and similar packs.
Importing this package loads neither MXNet nor matplotlib; the names below are imported at first
use.
"""

import importlib

PROTOCOLS = ("folder", "identification", "ifrt", "ijb", "megaface", "nist", "verification")

__all__ = ["VerificationResult", "evaluate", "evaluate_pack", "evaluate_variants", *PROTOCOLS]

_LAZY = {
    "VerificationResult": "results.verification_result",
    "evaluate": "protocols.verification",
    "evaluate_pack": "protocols.verification",
    "evaluate_variants": "protocols.verification",
}


def __getattr__(name):
    if name in PROTOCOLS:
        return importlib.import_module(f"{__name__}.protocols.{name}")
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
