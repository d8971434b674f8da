# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looking for Vault's values on a host without bringing them there: candidates are hashed with the run's key and compared.

What can be found is bounded by what is taken for a candidate: each entry of an environment, each word of a command line or
file, split at the usual separators, as it is, URL-decoded and base64-decoded. A value inside a longer word, encrypted,
or in another encoding, is not found; the evidence says so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from .redaction import SECRET_NAME, SHAPES
from .unanswerable import Unanswerable

LIMITS = (
    "finds values that stand alone or between separators, raw, URL-encoded or in base64; no parts, no other encodings"
)
SEPARATORS = re.compile(r"[\s'\"=:;,@&?#|<>()\[\]{}\\/]+")
LOOSE_SEPARATORS = re.compile(r"[\s'\";,&]+")
ASSIGNMENT = re.compile(
    r"""^\s*(?:export\s+|-\s+)?["']?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)["']?\s*[=:]\s*["']?(?P<value>[^\s"'#]+)"""
)
REFERENCE = re.compile(r"^(?:\$|\{\{|/|file:|vault:|<|!)")
"""Values that say where a credential is, not what it is."""
MAX_FILE = 4 * 1024 * 1024


@dataclass
class Scan:
    """What was looked at, and what was found where; never what it was."""

    key: bytes
    hashes: frozenset[str]
    places: int = 0
    candidates: int = 0
    found: dict[str, str] = field(default_factory=dict)

    def environment(self, place: str, entries: Iterable[str]) -> None:
        """``NAME=value`` entries, as a process has them."""
        self.places += 1
        for entry in entries:
            name, _, value = entry.partition("=")
            self._look(f"{place} {name}", value)
            self._named(f"{place} {name}", name, value)

    def text(self, place: str, text: str) -> None:
        """A file or a command line, line by line."""
        self.places += 1
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{place} line {number}"
            self._look(where, line)
            assigned = ASSIGNMENT.match(line)
            if assigned:
                self._named(where, assigned["name"], assigned["value"])

    def _named(self, where: str, name: str, value: str) -> None:
        if SECRET_NAME.search(name) and len(value) > 3 and not REFERENCE.match(value):
            self.found.setdefault(where, "looks like a credential by its name")

    def _look(self, where: str, text: str) -> None:
        for candidate in set(_candidates(text)):
            self.candidates += 1
            if hmac.new(self.key, candidate, hashlib.sha256).hexdigest() in self.hashes:
                self.found[where] = "a value that Vault holds"
        if SHAPES.search(text):
            self.found.setdefault(where, "looks like a credential by its shape")


def _candidates(text: str) -> Iterator[bytes]:
    for word in {text, *LOOSE_SEPARATORS.split(text), *SEPARATORS.split(text)}:
        yield from _forms(word.strip())


def _forms(word: str) -> Iterator[bytes]:
    if not word:
        return
    yield word.encode("utf-8", "surrogateescape")
    if "%" in word:
        yield unquote(word).encode("utf-8", "surrogateescape")
    if len(word) >= 8:
        try:
            body = word.rstrip("=").replace("-", "+").replace("_", "/")
            yield base64.b64decode(body + "=" * (-len(body) % 4), validate=True).strip()
        except (binascii.Error, ValueError):
            return


def processes(pattern: str, proc: Path = Path("/proc")) -> dict[str, Path]:
    """The processes whose command line matches, by a name for people."""
    found = {}
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended while we looked, as processes do
        line = b" ".join(arguments).decode("utf-8", "replace").strip()
        if line and re.search(pattern, line):
            found[f"process {folder.name}"] = folder
    return found


def scan_process(scan: Scan, name: str, folder: Path) -> None:
    """Environment and command line of one process.

    :raises Unanswerable: if they may not be read.
    """
    try:
        environment = (folder / "environ").read_bytes().decode("utf-8", "surrogateescape")
        arguments = (folder / "cmdline").read_bytes().decode("utf-8", "surrogateescape")
    except PermissionError:
        raise Unanswerable(
            f"the right to read {folder}/environ: run as root, or as the service's user (ansible_become)"
        ) from None
    except OSError:
        return  # it ended while we looked
    scan.environment(f"{name} environment", filter(None, environment.split("\0")))
    scan.text(f"{name} command line", "\n".join(filter(None, arguments.split("\0"))))


def scan_files(scan: Scan, globs: Collection[str]) -> list[str]:
    """Every regular file that a pattern names; the names.

    :raises Unanswerable: if one may not be read, or is too large to be what it is taken for.
    """
    names = sorted({str(path) for glob in globs for path in Path("/").glob(glob.lstrip("/")) if path.is_file()})
    for name in names:
        try:
            if Path(name).stat().st_size > MAX_FILE:
                raise Unanswerable(f"files of bounded size: {name} has over {MAX_FILE >> 20} MiB (vault_broker_files)")
            scan.text(name, Path(name).read_bytes().decode("utf-8", "surrogateescape"))
        except OSError as error:
            raise Unanswerable(f"a readable file {name}: {error.strerror}") from None
    return names
