import shutil

import pytest

from gluonface.deploy import export_model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return the bytes of a narrow net's ONNX file, and its embeddings."""
    from onnx_files import images, narrow, randomise

    net = randomise(narrow())
    files = export_model(net, tmp_path_factory.mktemp("onnx") / "a", onnx=True)
    return files["onnx"].read_bytes(), net(images()).asnumpy()


@pytest.fixture
def prefix(small_prefix, tmp_path):
    """A copy that a test may break."""
    for file in small_prefix.parent.iterdir():
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / "small"
