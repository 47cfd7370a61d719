"""Reading and writing faces: training records, verification packs, the loader, made-up faces.

Names are resolved on first use; none of them needs MXNet.
"""

import importlib

_LAZY = {
    "Batch": "loader",
    "Loader": "loader",
    "RecordDataset": "recordio.dataset",
    "RecordWriter": "recordio.writer",
    "VerificationPack": "verification_pack",
    "rebuild_index": "recordio.index",
    "synthesize": "synthetic.face_set",
}

__all__ = [
    "Batch",
    "Loader",
    "RecordDataset",
    "RecordWriter",
    "VerificationPack",
    "rebuild_index",
    "synthesize",
]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
