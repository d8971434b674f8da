# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An exported JSONL file, read once as it streams in, with everything the judges ask of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from .redaction import SECRET_NAME, SHAPES
from .s3 import Store

MAX_FAULTS = 20


@dataclass
class ExportFile:
    """What one file turned out to be."""

    key: str
    tenant: str
    kind: str
    records: int = 0
    sha256: str = ""
    ids_digest: str = ""
    duplicates: int = 0
    invalid: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def read_export(
    item: Mapping[str, Any], store: Store, bucket: str, schema: Mapping[str, Collection[str]]
) -> ExportFile:
    """Stream one file of a manifest; faults name the line, never its content."""
    file = ExportFile(item["key"], item["tenant"], str(item.get("kind", "")))
    digest, ids, seen = hashlib.sha256(), hashlib.sha256(), set()
    for number, line in enumerate(store.lines(bucket, file.key), 1):
        digest.update(line)
        file.records += 1
        record = _parse(file, number, line, schema)
        if record is None:
            continue
        identifier = str(record.get("id", ""))
        ids.update(f"{identifier}\n".encode())
        short = hashlib.blake2b(identifier.encode(), digest_size=8).digest()
        file.duplicates += short in seen
        seen.add(short)
        if record.get("tenant") != file.tenant:
            _note(file.foreign, f"line {number}")
        if SHAPES.search(line.decode("utf-8", "replace")) or any(_secret_names(record)):
            _note(file.secrets, f"line {number}")
    file.sha256, file.ids_digest = digest.hexdigest(), ids.hexdigest()
    return file


def _parse(file: ExportFile, number: int, line: bytes, schema: Mapping[str, Collection[str]]) -> dict[str, Any] | None:
    """The line's object, if it is one: UTF-8, ended by a line feed, with the names its kind must have."""
    try:
        record = json.loads(line.decode("utf-8"))
    except ValueError:
        _note(file.invalid, f"line {number} is not UTF-8 JSON")
        return None
    if not isinstance(record, dict) or not line.endswith(b"\n"):
        _note(file.invalid, f"line {number} is not one object on one line")
        return None
    kind = str(record.get("kind", ""))
    lacking = sorted(set(schema.get(kind, ())) - set(record))
    if schema and kind not in schema:
        _note(file.invalid, f"line {number} is of no known kind")
    elif lacking:
        _note(file.invalid, f"line {number} lacks {', '.join(lacking)}")
    return record


def _secret_names(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        own = [
            str(key) for key, item in value.items() if SECRET_NAME.search(str(key)) and isinstance(item, str) and item
        ]
        return own + [name for item in value.values() for name in _secret_names(item)]
    return [name for item in value for name in _secret_names(item)] if isinstance(value, list) else []


def _note(faults: list[str], text: str) -> None:
    if len(faults) < MAX_FAULTS:
        faults.append(text)
