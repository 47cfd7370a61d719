"""What is installed on this machine, and what it is; nothing heavy is imported."""

from __future__ import annotations

import importlib.metadata
import pathlib
import platform
import subprocess

__all__ = ["cpu_name", "find_commit", "installed_version"]


def installed_version(*names: str) -> str | None:
    """Return the version of the first of these distributions that is installed, or None."""
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def find_commit() -> str | None:
    """Return the commit of the source tree, with + when it has changes; None outside of one."""
    root = pathlib.Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty=+"]
        found = subprocess.run(
            [*command, "--exclude=*"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def cpu_name() -> str:
    """Return the processor's name."""
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
