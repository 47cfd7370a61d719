"""Names of members of archives: which may be used, and which lead out of the archive."""

from __future__ import annotations

import re

__all__ = ["MOST_BYTES", "clean_name"]

MOST_BYTES = 64 << 20  # of an image, or of any other member that is read


def clean_name(name: str) -> tuple[str, str | None]:
    """Return a member's name as a POSIX path without ``.``, and why it cannot be used or None."""
    if "\0" in name:
        return name.replace("\0", "?"), "its name holds a zero byte"
    if name.startswith("/") or re.match("[A-Za-z]:[/\\\\]", name):
        return name, "its name is an absolute path"
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or (".." in re.split(r"[/\\]", name)):
        return name, "its name leads out of the archive"
    if not parts:
        return name, "it has no name"
    return "/".join(parts), None
