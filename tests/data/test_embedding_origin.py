"""Which model made stored embeddings."""

import numpy as np
import pytest

from gluonface.data.embedding_origin import EmbeddingOrigin, ModelIdentity, pop_origin
from gluonface.errors import DataError

ONE = ModelIdentity("one", {"params": "ab" * 32, "onnx": "cd" * 32}, 128)
OTHER = ModelIdentity("other", {"params": "ef" * 32})


def test_written_and_read(tmp_path):
    for flip in ("sum", "none", None):
        origin = EmbeddingOrigin(ONE, flip)
        np.savez(tmp_path / "e.npz", embedding=np.zeros((2, 3)), **origin.to_arrays())
        with np.load(tmp_path / "e.npz", allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        found = pop_origin(arrays, "e.npz")
        assert list(arrays) == ["embedding"]
        assert (found.model.name, found.model.sha256, found.flip) == ("one", ONE.sha256, flip)


def test_files_of_older_programs_say_nothing():
    assert pop_origin({"embedding": np.zeros((2, 3)), "model": np.array("one")}, "e.npz") is None


def test_another_model_is_refused_by_name():
    origin = EmbeddingOrigin(ONE, "sum")
    origin.require_model(ModelIdentity("again", {"onnx": "cd" * 32}), "e.npz")
    with pytest.raises(DataError) as caught:
        origin.require_model(OTHER, "e.npz")
    assert str(caught.value).startswith(
        "e.npz holds embeddings of one (sha256 abababababab), not of other (sha256 efefefefefef)"
    )
    with pytest.raises(DataError, match=r"e\.npz holds .* of one .*, g\.npz holds those of other"):
        origin.require_model(OTHER, "e.npz", "g.npz")
    random = ModelIdentity("mobilefacenet", {})
    assert not random.is_same(random)
    assert str(random) == "mobilefacenet (random weights)"


def test_another_flip_form_is_refused():
    origin = EmbeddingOrigin(ONE, "sum")
    for same in ("sum", None):
        origin.require_flip(same, "e.npz")
    with pytest.raises(DataError, match="flip sum, not of flip none"):
        origin.require_flip("none", "e.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"model_sha256": np.array([1, 2])},
        {"model_sha256": np.array("params:" + "ab" * 32)},
        {"model_sha256": np.array(["params:abc"])},
        {"model": np.array(["one", "two"])},
        {"flip": np.array(1)},
    ],
)
def test_damaged_ones_are_an_error(change):
    arrays = {**EmbeddingOrigin(ONE, "sum").to_arrays(), **change}
    with pytest.raises(DataError, match=r"e\.npz"):
        pop_origin(arrays, "e.npz")
