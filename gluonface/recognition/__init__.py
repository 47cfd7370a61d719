"""What comes after the embedding: one person or two, and how sure.

`Calibration` says what a score means; `FaceReader` takes a photograph to faces with embeddings;
`compare` answers for two photographs, a `Gallery` for the people that it holds, and `cluster_faces`
says which faces belong together. The names are imported at first use.
"""

import typing

from ..lazy_names import lazy_names

if typing.TYPE_CHECKING:
    from .calibration import Calibration, Decision
    from .check import GalleryCheck, check_gallery
    from .clustering.clusters import Clustering, cluster_faces
    from .comparison import Comparison, compare
    from .faces import FaceReader, PhotoFace
    from .gallery import Gallery
    from .model_calibration import add_to_card, find_calibration

__all__ = [
    "Calibration",
    "Clustering",
    "Comparison",
    "Decision",
    "FaceReader",
    "Gallery",
    "GalleryCheck",
    "PhotoFace",
    "add_to_card",
    "check_gallery",
    "cluster_faces",
    "compare",
    "find_calibration",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Calibration": ".calibration",
        "Decision": ".calibration",
        "Comparison": ".comparison",
        "compare": ".comparison",
        "FaceReader": ".faces",
        "PhotoFace": ".faces",
        "add_to_card": ".model_calibration",
        "find_calibration": ".model_calibration",
        "Gallery": ".gallery",
        "GalleryCheck": ".check",
        "check_gallery": ".check",
        "Clustering": ".clustering.clusters",
        "cluster_faces": ".clustering.clusters",
    },
)
