"""Damaged files of models and of runs: an error that names the file, and nothing else."""

import mutations
import pytest

pytest.importorskip("onnx", reason="needs the extra gluonface[onnx]")
pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")
pytest.importorskip("openvino", reason="needs the extra gluonface[openvino]")

import model_readers


@pytest.mark.slow
@pytest.mark.parametrize("name", model_readers.READERS)
def test_a_thousand_damaged_files(tmp_path, name):
    outcome = mutations.run("model_readers", name, 500, tmp_path)
    assert outcome.problems == []
    assert outcome.refused > 100  # the damage does damage


@pytest.mark.parametrize("name", model_readers.READERS)
def test_damaged_files(tmp_path, name):
    outcome = mutations.read_some(model_readers.READERS[name], name, 5, tmp_path)
    assert outcome.refused  # the damage does damage
