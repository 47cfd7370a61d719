import collections
import pathlib
import subprocess
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("path", sorted(ROOT.glob("scripts/*.sh")), ids=lambda path: path.name)
def test_scripts_parse(path):
    done = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def find_python(**environment):
    code = f". {ROOT}/scripts/_environment.sh; find_python"
    env = {"PATH": "/usr/bin:/bin", **environment}
    return subprocess.run(["bash", "-c", code], env=env, capture_output=True, text=True)


def test_a_python_that_mxnet_cannot_use_is_refused(tmp_path):
    fake = tmp_path / "python3.15"
    fake.write_text("#!/bin/sh\nexit 1\n")  # answers "no" to the version question
    fake.chmod(0o755)
    done = find_python(PYTHON=str(fake))
    assert done.returncode == 1
    assert "is not Python 3.9 to 3.14" in done.stderr


def test_no_python_at_all_says_what_to_do():
    done = subprocess.run(
        ["/bin/bash", "-c", f". {ROOT}/scripts/_environment.sh; find_python"],
        env={"PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "No Python 3.9 to 3.14 found" in done.stderr


@pytest.fixture
def select(pytestconfig):
    """What tests/conftest.py makes of ``--cases`` options and the names of tests."""
    plugins = pytestconfig.pluginmanager.get_plugins()
    ours = next(p for p in plugins if getattr(p, "__file__", None) == f"{ROOT}/tests/conftest.py")

    def select(options, names):
        left = []
        config = types.SimpleNamespace(
            getoption=lambda name: {"cases": options}[name],
            hook=types.SimpleNamespace(pytest_deselected=lambda items: left.extend(items)),
        )
        items = [types.SimpleNamespace(nodeid=name) for name in names]
        ours.pytest_collection_modifyitems(config, items)
        kept = [item.nodeid for item in items]
        assert collections.Counter(kept + [item.nodeid for item in left]) == dict.fromkeys(names, 1)
        return kept

    return select


def test_a_few_cases_of_each_test(select):
    losses = [f"tests/loss/test_x.py::test_a[{number}]" for number in range(28)]
    others = ["tests/loss/test_x.py::test_b", "tests/nn/test_y.py::test_a[0]"]
    assert select([], losses + others) == losses + others
    few = [losses[0], losses[13], losses[27]]
    assert select(["tests/loss=3"], losses + others) == few + others
    assert select(["tests/loss=3", "tests/nn=1"], losses[:2] + others) == losses[:2] + others
    assert select(["tests/loss=1"], losses) == losses[:1]
