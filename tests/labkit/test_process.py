"""Processes are told apart from strangers, found without a record, and ended for certain."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labkit import process
from labkit.process import Command, Running

SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


@pytest.fixture
def folder(tmp_path: Path):
    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    yield tmp_path
    process.stop(process.of_lab(tmp_path), signal.SIGKILL)
    process.reap()


def spawn(folder: Path, code: str = SLEEP) -> Running:
    return process.spawn(folder, "victim", Command((sys.executable, "-c", code)))


def test_a_spawned_process_is_recorded_and_alive(folder: Path) -> None:
    running = spawn(folder)
    assert running.alive
    assert process.recorded(folder, "victim") == running


def test_a_recycled_pid_is_neither_alive_nor_signalled(folder: Path) -> None:
    stranger = spawn(folder)
    imposter = Running(stranger.pid, stranger.started - 1)
    assert not imposter.alive
    process.stop([imposter], signal.SIGKILL)
    assert stranger.alive


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen((sys.executable, "-c", "")) as child:
        deadline = time.monotonic() + 10
        while process.started_at(child.pid) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert Path(f"/proc/{child.pid}").exists()


def test_one_that_ignores_the_polite_signal_is_killed(folder: Path) -> None:
    running = spawn(folder, DEAF)
    log = folder / "logs" / "victim.log"
    while "deaf" not in log.read_text():
        time.sleep(0.01)
    process.stop([running], signal.SIGTERM, grace_s=0.2)
    assert not running.alive


def test_unrecorded_processes_and_their_children_are_found(folder: Path) -> None:
    parent = spawn(folder, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])")
    (folder / "run" / "victim.json").unlink()
    deadline = time.monotonic() + 10
    while len(process.of_lab(folder)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert parent in process.of_lab(folder)


def test_another_lab_finds_nothing(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    spawn(folder)
    assert process.of_lab(tmp_path_factory.mktemp("other")) == []


def test_the_operators_environment_stays_outside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERATOR_SECRET", "hunter2")
    running = spawn(folder)
    assert b"hunter2" not in Path(f"/proc/{running.pid}/environ").read_bytes()
