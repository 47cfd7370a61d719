"""Rules of the house that a reviewer would otherwise have to watch."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "gluonface"
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_file_keeps_to_its_room(path):
    tree = ast.parse(path.read_text())
    name = str(path.relative_to(PACKAGE))
    imported = set(imports(tree))
    assert not imported & {"mxnet", "cv2"} or name == "_compat.py", "get it from gluonface._compat"
    assert "horovod" not in imported or name == "parallel/communicator.py"
    assert not imported & {"pickle", "dill", "cloudpickle", "joblib"} or name in {
        "data/unpickle.py",  # the allow-listed reader of verification packs
    }
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"{name}:{node.lineno}: raise an error instead"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"print", "eval", "exec"}, f"{name}:{node.lineno}"
    assert ast.get_docstring(tree), "every file says what it is"
