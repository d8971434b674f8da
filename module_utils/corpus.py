# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The corpus of packages for the policy engine: data, for an operator to extend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .unanswerable import Unanswerable


@dataclass(frozen=True)
class Entry:
    """One package; ``class_`` is the class it must be blocked as, None if it must not be."""

    name: str
    class_: str | None
    data: bytes


def load_corpus(folder: Path) -> list[Entry]:
    """Every entry of every file.

    :raises Unanswerable: naming file and entry that cannot be understood.
    """
    entries = []
    try:
        for file in sorted(folder.glob("*.yml")):
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            entries += [_entry(file, content, number) for number in range(len(content["entries"]))]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise Unanswerable(
            f"a corpus that can be understood in {folder} (policy_dryrun_corpus): {type(error).__name__}"
        ) from None
    if not entries:
        raise Unanswerable(f"packages in {folder} (policy_dryrun_corpus)")
    return entries


def _entry(file: Path, content: dict[str, Any], number: int) -> Entry:
    item = content["entries"][number]
    if not isinstance(item, dict) or "about" not in item or ("package" in item) == ("text" in item):
        raise Unanswerable(f"'about', and one of 'package' and 'text', in entry {number + 1} of {file}")
    text = item.get("text") or yaml.safe_dump(item["package"], sort_keys=False, allow_unicode=True)
    return Entry(f"{file.stem}: {item['about']}", content["class"], text.encode())
