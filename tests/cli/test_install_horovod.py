"""`gluonface install-horovod`, with a stand-in for Python: a build takes minutes."""

import os
import pathlib
import subprocess

import pytest

from gluonface.cli import main

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "install-horovod.sh"
PYTHON = """#!/bin/sh
echo "$*" >>"{log}"
case $* in
*sysconfig*) echo "{site}" ;;
*gloo_built*) [ -e "{built}" ] ;;
*"install"*horovod*) {build} ;;
esac
"""


@pytest.fixture
def environment(tmp_path):
    """Return a function that makes an environment whose build does as it is told."""

    def make(build="true"):
        (tmp_path / "my env/bin").mkdir(parents=True)
        (tmp_path / "my env/site").mkdir()
        python = tmp_path / "my env/bin/python"
        python.write_text(
            PYTHON.format(
                log=tmp_path / "calls",
                site=tmp_path / "my env/site",
                built=tmp_path / "built",
                build=build.format(built=tmp_path / "built"),
            )
        )
        python.chmod(0o755)
        for tool in ("c++", "cmake", "make"):
            (tmp_path / "my env/bin" / tool).symlink_to("/bin/true")
        return tmp_path / "my env"

    return make


def install(folder, *words):
    path = f"{folder / 'my env/bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", SCRIPT, *words],
        cwd=folder,
        env={**os.environ, "PATH": path, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_relative_environment_is_where_the_user_stands(environment, tmp_path):
    made = environment('touch "{built}"')
    done = install(tmp_path, "my env")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (made / "site").iterdir()] == ["gluonface_for_horovod.pth"]
    calls = (tmp_path / "calls").read_text()
    # what an environment of `python -m venv` lacks comes before the build
    assert calls.index("setuptools wheel") < calls.index("horovod==0.28.1")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["my env", "mpi"], 2, "Unknown operations 'mpi': expected cpu or nccl"),
        (["elsewhere"], 2, "There is no virtual environment in elsewhere, seen from"),
        (["my env"], 1, "Horovod did not build"),
    ],
)
def test_a_run_that_fails_leaves_no_hook(environment, tmp_path, words, status, message):
    made = environment("false")
    done = install(tmp_path, *words)
    assert done.returncode == status
    assert message in done.stderr
    assert not list((made / "site").iterdir())


def test_the_command_of_a_wheels_user(environment, tmp_path, capfd):
    made = environment('touch "{built}"')
    assert main(["install-horovod", "--environment", str(made)]) == 0
    assert list((made / "site").iterdir())
    assert main(["install-horovod", "--environment", str(tmp_path / "none")]) == 2
    assert "--environment DIR names one" in capfd.readouterr().err
