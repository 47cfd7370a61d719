import pathlib
import subprocess

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
