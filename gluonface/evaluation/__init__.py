"""Evaluation: metrics on arrays, scores, protocols, named results and their report.

``metrics`` is pure NumPy. ``verification`` runs the pair protocol of LFW and similar packs.
Importing this package loads neither MXNet nor matplotlib; the names below are imported at first
use.
"""

import typing

from ..lazy_names import lazy_names

if typing.TYPE_CHECKING:
    from .protocols import folder, identification, ifrt, ijb, megaface, nist, verification
    from .protocols.verification import evaluate, evaluate_pack, evaluate_variants
    from .results.verification_result import VerificationResult

__all__ = [
    "VerificationResult",
    "evaluate",
    "evaluate_pack",
    "evaluate_variants",
    "folder",
    "identification",
    "ifrt",
    "ijb",
    "megaface",
    "nist",
    "verification",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "VerificationResult": ".results.verification_result",
        "evaluate": ".protocols.verification",
        "evaluate_pack": ".protocols.verification",
        "evaluate_variants": ".protocols.verification",
        **dict.fromkeys(
            ("folder", "identification", "ifrt", "ijb", "megaface", "nist", "verification"),
            ".protocols",
        ),
    },
)
