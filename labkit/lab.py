"""What one lab knows of itself: its folder, its ports, its secrets, and who is running."""

from __future__ import annotations

import json
import random
import secrets
import socket
import threading
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from labkit import process
from labkit.files import write_private

FIRST_PORT, LAST_PORT = 15000, 29999  # below what the kernel hands out, so that no client socket takes a stopped one's
FOLDERS = ("run", "logs", "violations", "tls", "keys", "atom", "etc", "scratch")


class Lab:
    """The state of one lab, kept in ``lab.json``: ports and secrets are settled once, before anything starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    @cached_property
    def _known(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(self.path("lab.json").read_text())
        return found

    def create(self, ports: Iterable[str], secret_names: Iterable[str], *, searchable: bool) -> None:
        """Make the folder; ``searchable`` lets another user (PostgreSQL's, under root) reach what is his in it."""
        self.folder.mkdir(mode=0o700, parents=True)
        self.folder.chmod(0o711 if searchable else 0o700)
        for name in FOLDERS:
            self.path(name).mkdir(mode=0o700)
        self._known = {
            "ports": dict(zip(ports, free_ports(), strict=False)),
            "secrets": {name: secrets.token_urlsafe(24) for name in secret_names},
            "missing": {},
        }
        self._save()

    def path(self, *parts: str) -> Path:
        """A path in the lab's folder."""
        return self.folder.joinpath(*parts)

    def port(self, name: str) -> int:
        return int(self._known["ports"][name])

    def address(self, name: str) -> str:
        """``127.0.0.1:PORT`` of a listener."""
        return f"127.0.0.1:{self.port(name)}"

    def secret(self, name: str) -> str:
        return str(self._known["secrets"][name])

    def learn_secret(self, name: str, value: str) -> None:
        """Keep a secret that a server made up, such as a token."""
        with self._lock:
            self._known["secrets"][name] = value
            self._save()

    @property
    def missing(self) -> dict[str, str]:
        """Parts this lab has to do without, each with the reason."""
        return dict(self._known["missing"])

    def set_missing(self, missing: dict[str, str]) -> None:
        with self._lock:
            self._known["missing"] = dict(missing)
            self._save()

    def alive(self, name: str) -> bool:
        """Whether the process of that name runs."""
        running = process.recorded(self.folder, name)
        return running is not None and running.alive

    def pids(self) -> dict[str, int]:
        """The live processes."""
        names = sorted(file.stem for file in self.path("run").glob("*.json"))
        found = {name: process.recorded(self.folder, name) for name in names}
        return {name: running.pid for name, running in found.items() if running and running.alive}

    def _save(self) -> None:
        write_private(self.path("lab.json"), json.dumps(self._known, indent=1))


def free_ports() -> Iterable[int]:
    """Ports on loopback that nobody listens on, in no order two labs would share."""
    for port in random.SystemRandom().sample(range(FIRST_PORT, LAST_PORT + 1), LAST_PORT - FIRST_PORT + 1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
