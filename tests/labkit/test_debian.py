"""A machine without apt, or without the network, is told apart from a broken one."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit import debian
from labkit.errors import UnavailableError


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(debian, "DEBIAN", tmp_path / "debian")
    return tmp_path / "debian"


def fake_apt(folder: Path, script: str) -> str:
    folder.mkdir()
    for name in ("apt-get", "dpkg"):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_no_apt_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="apt-get is not on this machine, and prometheus comes as"):
        debian.program("prometheus", "prometheus")


def test_a_failed_download_carries_apts_own_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", fake_apt(tmp_path / "bin", "echo 'E: no route to host' >&2; exit 100"))
    with pytest.raises(UnavailableError, match="no route to host"):
        debian.program("prometheus", "prometheus")


def test_nothing_half_done_stays_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_cache: Path
) -> None:
    monkeypatch.setenv("PATH", fake_apt(tmp_path / "bin", "exit 1"))
    with pytest.raises(UnavailableError):
        debian.unpacked("prometheus")
    assert not (empty_cache / "root" / "prometheus").exists()


def test_what_is_cached_needs_no_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_cache: Path) -> None:
    place = empty_cache / "root" / "prometheus" / "usr" / "bin"
    place.mkdir(parents=True)
    (place / "prometheus").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert debian.program("prometheus", "prometheus") == place / "prometheus"


def test_a_package_without_the_program_is_named(empty_cache: Path) -> None:
    (empty_cache / "root" / "prometheus").mkdir(parents=True)
    with pytest.raises(UnavailableError, match="holds no program promtool"):
        debian.program("prometheus", "promtool")
