"""Reading and writing faces: training records, verification packs, the loader, synthetic faces.

Names are imported on first use; none of them needs MXNet.
"""

import typing

from ..lazy_names import lazy_names

if typing.TYPE_CHECKING:
    from .loader import Batch, Loader
    from .recordio.dataset import RecordDataset
    from .recordio.index import rebuild_index
    from .recordio.writer import RecordWriter
    from .sources import FaceSource, open_source
    from .sources.pairs import open_pairs
    from .synthetic.face_set import synthesize
    from .verification_pack import VerificationPack

__all__ = [
    "Batch",
    "FaceSource",
    "Loader",
    "RecordDataset",
    "RecordWriter",
    "VerificationPack",
    "open_pairs",
    "open_source",
    "rebuild_index",
    "synthesize",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Batch": ".loader",
        "FaceSource": ".sources",
        "Loader": ".loader",
        "RecordDataset": ".recordio.dataset",
        "RecordWriter": ".recordio.writer",
        "VerificationPack": ".verification_pack",
        "open_pairs": ".sources.pairs",
        "open_source": ".sources",
        "rebuild_index": ".recordio.index",
        "synthesize": ".synthetic.face_set",
    },
)
