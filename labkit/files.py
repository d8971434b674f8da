"""Where a lab lives, and how its files are written: privately, and whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
CACHE = ROOT / ".cache"
"""What outlives a lab: downloaded server packages."""


def lab_folder(folder: Path | str | None = None) -> Path:
    """The lab's state folder: the one given, else ``ATOM_LAB_DIR``, else ``.lab`` in the checkout."""
    return Path(folder or os.environ.get("ATOM_LAB_DIR") or ROOT / ".lab").absolute()


def write_private(path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Replace ``path`` in one step, so that a reader sees the old content or the new and never a part of it."""
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
