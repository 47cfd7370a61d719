"""Take a trained model out of here: export it, convert it to ONNX, embed images with it."""

from ..evaluation.scores.flip import combine_views
from .embedder import Embedder
from .export import export_model, export_source
from .onnx.convert import export_onnx
from .torch_state import export_torch

__all__ = [
    "Embedder",
    "combine_views",
    "export_model",
    "export_onnx",
    "export_source",
    "export_torch",
]
