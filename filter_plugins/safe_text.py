# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the templates need to show hostile text safely. Every value from an audited system passes one of these."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

FORMULA = re.compile(r"^[\s]*[=+\-@\t\r]")
"""Cells a spreadsheet would execute (OWASP, CSV Injection)."""
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$-])")
"""CommonMark's and GitHub's active punctuation; a backslash makes each of them literal."""


def csv_row(cells: Iterable[Any]) -> str:
    """One line of RFC 4180 CSV, in which no cell is a formula."""
    out = io.StringIO()
    csv.writer(out, lineterminator="", quoting=csv.QUOTE_MINIMAL).writerow([_inert(cell) for cell in cells])
    return out.getvalue()


def _inert(cell: Any) -> str:
    text = _one_line(cell)
    return f"'{text}" if FORMULA.match(text) else text


def md_text(value: Any) -> str:
    """Text as one line of Markdown, in a table cell too: no link, no markup, no HTML, no extra column."""
    return MARKDOWN.sub(r"\\\1", _one_line(value))


def md_block(value: str) -> str:
    """Text as an indented code block, which needs no fence that the text itself could close."""
    return "\n".join(f"    {_printable(line)}" for line in value.splitlines()) or "    (empty)"


def log_line(value: Any) -> str:
    """Text as part of one log line: no line break, nothing a terminal obeys."""
    return _one_line(value)


def duration(seconds: float) -> str:
    """``0.04 s``, ``12.3 s``, ``2 min 5 s``."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _one_line(value: Any) -> str:
    return "" if value is None else _printable(" ".join(str(value).split()))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


class FilterModule:
    """Filters of the templates."""

    def filters(self) -> dict[str, Any]:
        return {
            "csv_row": csv_row,
            "md_text": md_text,
            "md_block": md_block,
            "log_line": log_line,
            "duration": duration,
        }
