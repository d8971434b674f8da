"""Up, down and status of a whole lab, and stop and start of one of its servers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from labkit import connections, pki, process, services
from labkit.files import lab_folder
from labkit.lab import Lab
from labkit.part import Part
from labkit.parts import PARTS, server

LOCK_TIMEOUT_S = 120
DOWN_GRACE_S = 3.0
SETTLE_S = 0.1
TLS_HOSTS = ("openbao", "admission")
SIGNING_KEYS = ("release", "probe", "revoked")

Say = Callable[[str], None]


@dataclass
class Outcome:
    """What a command did: whether anything changed, who runs, and what the lab has to do without."""

    changed: bool
    running: dict[str, int] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)


def up(folder: Path | None = None, say: Say = print) -> Outcome:
    """Bring the lab up: from nothing, or what died of it, or nothing at all when everything runs."""
    place = lab_folder(folder)
    with only_one(place):
        if not connections.file(place).exists():
            if place.exists():
                say("an earlier start was interrupted: starting over")
                _tear_down(place)
            _build(Lab(place), say)
            return _view(Lab(place), changed=True)
        lab = Lab(place)
        revived = _revive(lab, say)
        return _view(lab, changed=bool(revived))


def down(folder: Path | None = None) -> Outcome:
    """End every process of the lab and remove its folder; whatever state it is in."""
    place = lab_folder(folder)
    with only_one(place):
        return Outcome(changed=_tear_down(place))


def status(folder: Path | None = None) -> Outcome:
    """Who runs and who does not."""
    lab = Lab(lab_folder(folder))
    if not lab.path("lab.json").exists():
        return Outcome(changed=False, stopped=[name for name, part in PARTS.items() if part.is_server])
    return _view(lab, changed=False)


def stop(name: str, folder: Path | None = None) -> bool:
    """Stop one server, keeping its data; False when it was not running."""
    lab, part = Lab(lab_folder(folder)), server(name)
    with only_one(lab.folder):
        if not lab.alive(name):
            return False
        part.stop(lab)
        return True


def start(name: str, folder: Path | None = None) -> bool:
    """Start one server again, on its port with its data; False when it was running."""
    lab, part = Lab(lab_folder(folder)), server(name)
    with only_one(lab.folder):
        if lab.alive(name):
            return False
        _start(part, lab)
        connections.refresh_pids(lab)
        return True


def run(job: str, arguments: tuple[str, ...], folder: Path | None = None) -> int:
    """Run a nightly job now, one of its kind at a time; its exit code."""
    lab = Lab(lab_folder(folder))
    with only_one(lab.folder, job):
        return services.run_job(lab, job, arguments)


@contextlib.contextmanager
def only_one(folder: Path, what: str = "lab") -> Iterator[None]:
    """One command at a time per lab. An abstract socket is a lock that dies with its holder and leaves no file."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        while True:
            try:
                lock.bind(f"\0atom-{what}:{hashlib.sha256(bytes(folder.resolve())).hexdigest()}")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"another command has held the {what} in {folder} for {LOCK_TIMEOUT_S} s"
                    ) from None
                time.sleep(0.1)
        yield


def _build(lab: Lab, say: Say) -> None:
    began = time.monotonic()
    ports = [name for part in PARTS.values() for name in part.ports]
    secrets = [name for part in PARTS.values() for name in part.secrets]
    lab.create(ports, secrets, searchable=os.geteuid() == 0)
    pki.make_authority(lab.path("tls"), TLS_HOSTS)
    for name in SIGNING_KEYS:
        pki.make_signing_key(lab.path("keys"), name)
    services.write_host_files(lab)
    missing = _in_order(lab, say)
    lab.set_missing(missing)
    connections.write(lab)
    say(f"the lab is up in {time.monotonic() - began:.1f} s: {lab.folder}")


def _in_order(lab: Lab, say: Say) -> dict[str, str]:
    """Bring every part up at once, each as soon as what it needs is there; why the missing ones are missing."""

    def bring_up(part: Part, needed: dict[str, Future[str | None]]) -> str | None:
        for name, outcome in needed.items():
            if outcome.result() is not None:
                return f"it needs {name}"
        began = time.monotonic()
        try:
            part.bring_up(lab)
        except Exception as error:
            with lab.path("logs", f"{part.name}.setup.log").open("a") as log:
                traceback.print_exc(file=log)
            say(f"{part.name} is missing: {error}")
            return str(error)
        say(f"{part.name} is up in {time.monotonic() - began:.1f} s")
        return None

    outcomes: dict[str, Future[str | None]] = {}
    with ThreadPoolExecutor(len(PARTS)) as pool:
        for name, part in PARTS.items():
            outcomes[name] = pool.submit(bring_up, part, {need: outcomes[need] for need in part.needs})
    reasons = {name: outcome.result() for name, outcome in outcomes.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _revive(lab: Lab, say: Say) -> list[str]:
    """Start again what died, in the order of the parts."""
    dead = [part for name, part in PARTS.items() if part.is_server and name not in lab.missing and not lab.alive(name)]
    for part in dead:
        _start(part, lab)
        say(f"{part.name} was down: started again")
    if dead:
        connections.refresh_pids(lab)
    return [part.name for part in dead]


def _start(part: Part, lab: Lab) -> None:
    try:
        part.start(lab)
    except Exception as error:
        raise RuntimeError(f"{part.name} cannot be started: {error}") from error


def _tear_down(folder: Path) -> bool:
    """Recorded or not, every process that carries the lab's mark ends; then everything on disk goes."""
    found = process.of_lab(folder)
    if postgres := process.recorded(folder, "postgres"):
        process.stop([postgres], signal.SIGQUIT, DOWN_GRACE_S)  # killed, it would leave its shared memory behind
    quiet = 0
    while (
        quiet < 2
    ):  # again, for what one of them started meanwhile; a process bears no mark for a moment while it starts
        left = process.of_lab(folder)
        process.stop(left, signal.SIGKILL)
        quiet = 0 if left else quiet + 1
        time.sleep(SETTLE_S)
    process.reap()
    if not folder.exists():
        return bool(found)
    lab = Lab(folder)
    if lab.path("lab.json").exists():
        for part in PARTS.values():
            part.clean(lab)
    deadline = time.monotonic() + DOWN_GRACE_S
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError:  # what bears no mark yet may still write there
            if time.monotonic() > deadline:
                raise
            process.stop(process.of_lab(folder), signal.SIGKILL)
            time.sleep(SETTLE_S)
    return True


def _view(lab: Lab, *, changed: bool) -> Outcome:
    running, missing = lab.pids(), lab.missing
    servers = [name for name, part in PARTS.items() if part.is_server]
    stopped = [name for name in servers if name not in running and name not in missing]
    return Outcome(changed, running, missing, stopped)
