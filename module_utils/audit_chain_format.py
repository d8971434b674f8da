# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hash-chained audit log, verified record by record in bounded memory.

A record is one line of JSON. Its ``hash`` is the hex SHA-256 of its RFC 8785 canonical form without ``hash``; its
``prev_hash`` is the ``hash`` of the record before, 64 zeros for the first. A segment is an object of such lines, named
``<first seq, 12 digits>-<last seq>.jsonl``; an anchor, kept outside the object store, fixes each segment's first and last
number, the hash of its last record, and the digest of its bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import rfc8785

GENESIS = "0" * 64
SEGMENT_NAME = re.compile(r"(?P<first>\d{12})-(?P<last>\d{12})\.jsonl$")
MAX_BREAKS = 50
MAX_LINE = 1024 * 1024


@dataclass
class Chain:
    """The state of a verification: feed it segments in order, then read ``breaks``."""

    head: str = GENESIS
    last_seq: int = 0
    newest: str = ""
    records: int = 0
    segments: int = 0
    breaks: list[str] = field(default_factory=list)

    def segment(self, key: str, lines: Iterable[bytes], anchor: Mapping[str, Any] | None) -> None:
        """Verify one segment and its anchor."""
        name = SEGMENT_NAME.search(key)
        if name is None:
            self._break(f"{key}: not a segment's name")
            return
        self.segments += 1
        digest, first = hashlib.sha256(), None
        for number, line in enumerate(lines, 1):
            digest.update(line)
            record = self._record(f"{key} line {number}", line)
            if record is not None and first is None:
                first = record.get("seq")
        if first != int(name["first"]) or self.last_seq != int(name["last"]):
            self._break(f"{key}: holds records {first} to {self.last_seq}")
        if anchor is None:
            self._break(f"{key}: has no anchor outside the store")
        elif anchor["sha256"] != digest.hexdigest():
            self._break(f"{key}: its bytes differ from the anchored digest")
        elif (anchor["first_seq"], anchor["last_seq"], anchor["head_hash"]) != (first, self.last_seq, self.head):
            self._break(f"{key}: its records differ from the anchor's")

    def missing(self, anchors: Iterable[Mapping[str, Any]], seen: Iterable[str]) -> None:
        """Anchored segments that the store does not show are truncation or removal."""
        present = set(seen)
        for anchor in anchors:
            if anchor["object_key"] not in present:
                self._break(f"{anchor['object_key']}: anchored, but not in the store")

    def _record(self, where: str, line: bytes) -> dict[str, Any] | None:
        self.records += 1
        if len(line) > MAX_LINE:
            self._break(f"{where}: longer than {MAX_LINE} bytes")
            return None
        try:
            record = json.loads(line)
            body = {key: value for key, value in record.items() if key != "hash"}
            computed = hashlib.sha256(rfc8785.dumps(body)).hexdigest()
            seq, stated, previous = int(record["seq"]), str(record["hash"]), str(record["prev_hash"])
        except (ValueError, KeyError, TypeError, AttributeError, rfc8785.CanonicalizationError):
            self._break(f"{where}: not a record")
            return None
        if stated != computed:
            self._break(f"{where}: record {seq} was changed: its hash is not its content's")
        if seq != self.last_seq + 1:
            self._break(f"{where}: record {seq} follows {self.last_seq}: {_gap(seq, self.last_seq)}")
        elif previous != self.head:
            self._break(f"{where}: record {seq} does not continue the chain: a fork")
        self.last_seq, self.head, self.newest = seq, stated, str(record.get("at", ""))
        return dict(record)

    def _break(self, about: str) -> None:
        if len(self.breaks) < MAX_BREAKS:
            self.breaks.append(about)


def _gap(seq: int, last: int) -> str:
    return "records are missing" if seq > last else "a replayed or reordered record"
