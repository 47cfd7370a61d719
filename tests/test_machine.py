"""What the machine is said to be."""

import shutil
import subprocess

import pytest

from gluonface import machine


def test_versions_of_what_is_installed():
    import numpy

    assert machine.installed_version("no-such-package", "numpy") == numpy.__version__
    assert machine.installed_version("no-such-package") is None


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_the_commit_of_a_checkout(tmp_path, monkeypatch):
    package = tmp_path / "gluonface" / "machine.py"
    monkeypatch.setattr(machine, "__file__", str(package))
    assert machine.find_commit() is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert machine.find_commit() == head.stdout.strip()


def test_the_processor_has_a_name():
    assert machine.cpu_name().strip()
