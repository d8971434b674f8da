"""The platform's settings: one YAML file, read again whenever it changes, so that no service needs a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class Settings:
    """Values by dotted key: ``settings["signatures.mode"]``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._values: dict[str, Any] = {}
        self._reload()

    def __getitem__(self, dotted_key: str) -> Any:
        self._reload()
        value: Any = self._values
        for key in dotted_key.split("."):
            try:
                value = value[key]
            except (KeyError, TypeError):
                raise KeyError(f"{self._path}: {dotted_key} is not set") from None
        return value

    def get(self, dotted_key: str, default: Any = None) -> Any:
        try:
            return self[dotted_key]
        except KeyError:
            return default

    def defective(self, name: str) -> bool:
        """Whether a deliberate misbehaviour is switched on, so that an audit can be shown to notice it."""
        return name in (self.get("defects") or ())

    def _reload(self) -> None:
        found = self._path.stat()
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            self._values = yaml.safe_load(self._path.read_text(encoding="utf-8"))
            self._stamp = stamp
