"""Take a trained model out of here: export it, convert it to ONNX, embed images with it."""

import importlib

_LAZY = {
    "Embedder": "gluonface.deploy.embedder",
    "combine_views": "gluonface.evaluation.scores.flip",
    "export_model": "gluonface.deploy.export",
    "export_onnx": "gluonface.deploy.onnx.convert",
    "export_source": "gluonface.deploy.export",
}

__all__ = ["Embedder", "combine_views", "export_model", "export_onnx", "export_source"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
