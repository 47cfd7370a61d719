"""Damaged files of models and of runs: an error that names the file, and nothing else."""

import mutations
import pytest

pytest.importorskip("onnx", reason="needs the extra gluonface[onnx]")
pytest.importorskip("onnxruntime", reason="needs the extra gluonface[onnx]")
pytest.importorskip("openvino", reason="needs the extra gluonface[openvino]")

import model_readers


@pytest.mark.parametrize("count", [12, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", model_readers.READERS)
def test_damaged_files(tmp_path, name, count):
    outcome = mutations.run("model_readers", name, count, tmp_path)
    assert outcome.problems == []
    assert outcome.refused > count / 5  # the damage does damage
