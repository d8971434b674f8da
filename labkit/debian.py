"""Server programs out of Debian packages, without root and without touching the system's own package state.

Downloaded and unpacked once into ``.cache/debian``; apt works on lists and caches of its own there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.errors import UnavailableError
from labkit.files import CACHE
from labkit.process import clean_environment

DEBIAN = CACHE / "debian"
TIMEOUT_S = 180
PROXIES = ("http_proxy", "https_proxy", "no_proxy")


def program(package: str, name: str) -> Path:
    """The program ``name`` of a Debian package, downloaded when it is not in the cache yet."""
    found = unpacked(package) / "usr" / "bin" / name
    if not found.exists():
        raise UnavailableError(f"Debian's package {package} holds no program {name}")
    return found


def unpacked(package: str) -> Path:
    """The folder a Debian package was unpacked into."""
    place = DEBIAN / "root" / package
    if not place.exists():
        with _alone():
            if not place.exists():
                _unpack(package, place)
    return place


def _unpack(package: str, place: Path) -> None:
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise UnavailableError(f"{tool} is not on this machine, and {package} comes as a Debian package")
    with tempfile.TemporaryDirectory(dir=DEBIAN) as folder:
        try:
            _apt("download", package, cwd=Path(folder))
        except UnavailableError:
            _apt("update")  # no lists yet, or they name versions that are gone
            _apt("download", package, cwd=Path(folder))
        (archive,) = Path(folder).glob("*.deb")
        content = Path(folder, "content")
        _run("dpkg", "-x", str(archive), str(content))
        place.parent.mkdir(exist_ok=True)
        content.replace(place)


def _apt(*arguments: str, cwd: Path | None = None) -> None:
    state, cache = DEBIAN / "state", DEBIAN / "cache"
    for folder in (state / "lists" / "partial", cache / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    options = (f"Dir::State={state}", f"Dir::State::Lists={state / 'lists'}", f"Dir::Cache={cache}")
    flags = [flag for option in (*options, "APT::Sandbox::User=", "Acquire::Retries=2") for flag in ("-o", option)]
    _run("apt-get", "-q", *flags, *arguments, cwd=cwd)


def _run(*argv: str, cwd: Path | None = None) -> None:
    environment = clean_environment({name: os.environ[name] for name in PROXIES if name in os.environ})
    try:
        subprocess.run(  # noqa: S603
            argv, cwd=cwd, env=environment, check=True, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.CalledProcessError as error:
        reason = " | ".join((error.stderr or error.stdout).strip().splitlines()[-2:])
        raise UnavailableError(f"{argv[0]} failed: {reason}") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{argv[0]} did not finish within {TIMEOUT_S} s") from None


@contextmanager
def _alone() -> Iterator[None]:
    """One download at a time, also between two labs: apt's folders are shared."""
    DEBIAN.mkdir(parents=True, exist_ok=True)
    with (DEBIAN / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
