"""Reading and writing faces: training records, verification packs, the loader, synthetic faces.

Names are imported on first use; none of them needs MXNet.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from .loader import Batch, Loader
    from .recordio.dataset import RecordDataset
    from .recordio.index import rebuild_index
    from .recordio.writer import RecordWriter
    from .synthetic.face_set import synthesize
    from .verification_pack import VerificationPack

__all__ = [
    "Batch",
    "Loader",
    "RecordDataset",
    "RecordWriter",
    "VerificationPack",
    "rebuild_index",
    "synthesize",
]

_MODULES = {
    "Batch": "loader",
    "Loader": "loader",
    "RecordDataset": "recordio.dataset",
    "RecordWriter": "recordio.writer",
    "VerificationPack": "verification_pack",
    "rebuild_index": "recordio.index",
    "synthesize": "synthetic.face_set",
}


def __getattr__(name: str) -> typing.Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list:
    return sorted({*globals(), *__all__})
