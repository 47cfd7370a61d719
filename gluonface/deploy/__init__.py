"""Take a trained model out of here: export it, convert it to ONNX, embed images with it."""

import importlib

_LAZY = {
    "Embedder": "embedder",
    "combine_views": "views",
    "export_model": "export",
    "export_onnx": "onnx",
    "export_source": "export",
}

__all__ = ["Embedder", "combine_views", "export_model", "export_onnx", "export_source"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
