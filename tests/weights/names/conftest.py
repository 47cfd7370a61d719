import pytest

from gluonface.weights.content import Content
from gluonface.weights.opened import READERS
from gluonface.weights.source import PYTORCH


@pytest.fixture
def state(monkeypatch, tmp_path):
    """Return a dict that `load_weights` reads instead of a file, and the file's name."""
    content, path = {}, tmp_path / "a.pth"
    path.write_bytes(b"the reader is replaced")
    monkeypatch.setitem(READERS, PYTORCH, lambda _: Content(dict(content)))
    return content, path
