"""Detached processes of a lab: started in a session of their own, told apart from strangers, ended for certain.

A process is known by its pid and the moment it started, so a recycled pid is never taken for ours. Every process also
carries the lab's folder in its environment, which finds those that a killed ``up`` had no time to write down.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from labkit.files import write_private

MARK = "ATOM_LAB_PROCESS_OF"
STOP_GRACE_S = 10.0


@dataclass(frozen=True)
class Command:
    """What to run. ``user`` only means something to root; nothing secret belongs in ``argv`` or ``environment``."""

    argv: tuple[str, ...]
    cwd: Path | None = None
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """One process: its pid, and its start in clock ticks since boot (``/proc/PID/stat``, field 22, see proc(5))."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return started_at(self.pid) == self.started

    def send(self, signal_number: int) -> None:
        """Signal the process, if it still is the one."""
        if self.alive:
            os.kill(self.pid, signal_number)


def started_at(pid: int) -> int | None:
    """When the process started, in ticks; None when there is none, or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a lab process gets to see: nothing of the operator's environment but where programs and home are."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {"LANG": "C.UTF-8", "TZ": "UTC", **kept, **(extra or {})}


def spawn(folder: Path, name: str, command: Command) -> Running:
    """Start a process that outlives us, its output in ``logs/NAME.log``, its identity in ``run/NAME.json``."""
    with (folder / "logs" / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - our own argument list, no shell
            command.argv,
            cwd=command.cwd or folder,
            env=clean_environment({MARK: str(folder), **command.environment}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=command.user,
            group=command.user,
            extra_groups=[] if command.user else None,
        )
    running = Running(child.pid, started_at(child.pid) or -1)
    write_private(folder / "run" / f"{name}.json", json.dumps(asdict(running)))
    return running


def recorded(folder: Path, name: str) -> Running | None:
    """The process last started under this name, alive or not."""
    try:
        found = json.loads((folder / "run" / f"{name}.json").read_text())
    except FileNotFoundError:
        return None
    return Running(found["pid"], found["started"])


def stop(processes: Iterable[Running], stop_signal: int = signal.SIGTERM, grace_s: float = STOP_GRACE_S) -> None:
    """End them all at once: asked first, killed after ``grace_s`` seconds; returns when none is left."""
    left = [process for process in processes if process.alive]
    for process in left:
        process.send(stop_signal)
    deadline = time.monotonic() + grace_s
    while left := [process for process in left if process.alive]:
        if time.monotonic() > deadline:
            for process in left:
                process.send(signal.SIGKILL)
        time.sleep(0.02)


def of_lab(folder: Path) -> list[Running]:
    """Every process that was started for this lab, or by one of them, recorded or not."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark in (place / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # gone meanwhile, or another user's: not ours
        if marked and (ticks := started_at(int(place.name))) is not None:
            found.append(Running(int(place.name), ticks))
    return found


def reap() -> None:
    """Collect our own children that ended, so that they do not stay as zombies while we go on."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
