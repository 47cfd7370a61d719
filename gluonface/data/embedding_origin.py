"""Which model made embeddings, and how: stored beside them, and compared before they are mixed.

Cosines between embeddings of two models look plausible and mean nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import DataError

__all__ = ["EmbeddingOrigin", "ModelIdentity", "pop_origin"]


@dataclasses.dataclass(frozen=True)
class ModelIdentity:
    """A model by the content of its weights.

    Attributes
    ----------
    name : str
        Of the model card, or of the file.
    sha256 : dict of str to str
        By the kind of file: ``params``, ``onnx``, ``int8``. Exported weights and their .onnx have
        both where their card lists both: they give the same embeddings. Empty: random weights.
    embedding_size : int or None
    """

    name: str
    sha256: Mapping[str, str]
    embedding_size: int | None = None

    def __str__(self) -> str:
        digest = next(iter(self.sha256.values()), None)
        return f"{self.name} ({f'sha256 {digest[:12]}' if digest else 'random weights'})"

    def is_same(self, other: ModelIdentity) -> bool:
        """Return whether both have the weights of one model."""
        return bool(set(self.sha256.values()) & set(other.sha256.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {
            "name": self.name,
            "sha256": dict(self.sha256),
            "embedding_size": self.embedding_size,
        }


@dataclasses.dataclass(frozen=True)
class EmbeddingOrigin:
    """The model that made embeddings, and the flip form.

    Attributes
    ----------
    model : ModelIdentity
    flip : str or None
        ``sum``, ``none`` or ``concat``; None for the outputs of images and mirrors as they are.
    """

    model: ModelIdentity
    flip: str | None

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what is stored beside embeddings in a .npz file."""
        digests = [f"{role}:{digest}" for role, digest in self.model.sha256.items()]
        arrays = {
            "model": np.array(self.model.name),
            "model_sha256": np.array(digests, dtype=str),
        }
        return arrays if self.flip is None else {**arrays, "flip": np.array(self.flip)}

    def require_model(self, model: ModelIdentity, what: Any, who: str = "") -> None:
        """Raise DataError if `what` holds embeddings of another model than `model`.

        `who` names what `model` belongs to, such as another file; nothing: the model itself.
        """
        if not self.model.is_same(model):
            other = f"{who} holds those of {model}" if who else f"not of {model}"
            raise DataError(
                f"{what} holds embeddings of {self.model}, {other}; embed the images again with "
                "one model"
            )

    def require_flip(self, flip: str | None, what: Any, who: str = "") -> None:
        """Raise DataError if `what` holds embeddings of another flip form, where both are known."""
        if self.flip is not None and flip is not None and self.flip != flip:
            other = f"{who} those of flip {flip}" if who else f"not of flip {flip}"
            raise DataError(
                f"{what} holds embeddings of flip {self.flip}, {other}; embed the images again "
                "with one --flip"
            )


def pop_origin(arrays: dict[str, np.ndarray], path: Any) -> EmbeddingOrigin | None:
    """Take the origin out of the arrays of a file; None where an older program wrote it.

    Raises
    ------
    DataError
        The arrays that say it are damaged.
    """
    if "model_sha256" not in arrays:
        return None
    digests, name = arrays.pop("model_sha256"), arrays.pop("model", np.array("a model"))
    flip = arrays.pop("flip", None)
    texts = [name, digests] + ([] if flip is None else [flip])
    if any(text.dtype.kind != "U" for text in texts) or digests.ndim != 1 or name.ndim:
        raise DataError(
            f"{path}: model, model_sha256 and flip hold {[text.dtype.str for text in texts]}; "
            "expected texts"
        )
    pairs = [str(digest).partition(":") for digest in digests]
    if any(len(digest) != 64 for _, _, digest in pairs):
        raise DataError(f"{path}: model_sha256 is {digests.tolist()}; expected KIND:SHA-256")
    model = ModelIdentity(str(name), {role: digest for role, _, digest in pairs})
    return EmbeddingOrigin(model, None if flip is None else str(flip))
