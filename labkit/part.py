"""The shape every part of the lab has, and the one way a part is started."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import requests

from labkit import process
from labkit.lab import Lab
from labkit.process import Command

READY_TIMEOUT_S = 30.0
POLL_S = 0.05


class Part:
    """One server or one job of the lab.

    ``needs`` names the parts that must be up and seeded first; ``ports`` and ``secrets`` what it wants settled before
    anything starts. A job has no ``command``: its ``seed`` is all it does, once.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    ports: ClassVar[tuple[str, ...]] = ()
    secrets: ClassVar[tuple[str, ...]] = ()
    is_server: ClassVar[bool] = True
    stop_signal: ClassVar[int] = signal.SIGTERM

    def obtain(self, lab: Lab) -> None:
        """Have the programs; UnavailableError when they cannot be had."""

    def configure(self, lab: Lab) -> None:
        """Write what the program reads; called once."""

    def prepare(self, lab: Lab) -> None:
        """What every start needs beforehand."""

    def command(self, lab: Lab) -> Command:
        """How to run it."""
        raise NotImplementedError

    def ready(self, lab: Lab) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def awaken(self, lab: Lab) -> None:
        """What every start needs once it answers."""

    def seed(self, lab: Lab) -> None:
        """What only the first start needs."""

    def clean(self, lab: Lab) -> None:
        """Remove what it left outside the lab's folder."""

    def bring_up(self, lab: Lab) -> None:
        """First start: everything, from nothing."""
        self.obtain(lab)
        self.configure(lab)
        self.start(lab)
        self.seed(lab)

    def start(self, lab: Lab) -> None:
        """Start it (again): same ports, same data. Nothing happens when it runs."""
        if not self.is_server or lab.alive(self.name):
            return
        self.prepare(lab)
        running = process.spawn(lab.folder, self.name, self.command(lab))
        wait_until(lambda: self.ready(lab), running, lab.path("logs", f"{self.name}.log"))
        self.awaken(lab)

    def stop(self, lab: Lab) -> None:
        """Stop it, keeping its data."""
        if running := process.recorded(lab.folder, self.name):
            process.stop([running], self.stop_signal)


def wait_until(ready: Callable[[], bool], running: process.Running, log: Path) -> None:
    """Wait for an answer; the log's last lines are the reason when there is none, or the process ended."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not ready():
        if not running.alive:
            raise RuntimeError(f"it ended at its start: {last_lines(log)}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"it did not answer within {READY_TIMEOUT_S:g} s: {last_lines(log)}")
        time.sleep(POLL_S)


def last_lines(log: Path, count: int = 4) -> str:
    """The end of a log in one line."""
    return " | ".join(log.read_text(errors="replace").splitlines()[-count:]) or "its log is empty"


def answers(url: str, *, verify: str | bool = True, statuses: tuple[int, ...] = (200,)) -> bool:
    """Whether a GET is answered with one of these statuses."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(url, timeout=2, verify=verify).status_code in statuses
    except requests.RequestException:
        return False
