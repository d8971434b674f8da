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
    for file in sorted(folder.glob("*.yml")):
        number = 0  # the file itself
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            for number, item in enumerate(content["entries"], 1):  # noqa: B007 -- the message below names it
                text = (
                    item["text"]
                    if "text" in item
                    else yaml.safe_dump(item["package"], sort_keys=False, allow_unicode=True)
                )
                entries.append(Entry(f"{file.stem}: {item['about']}", content["class"], text.encode()))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise Unanswerable(f"a readable corpus {file} (policy_dryrun_corpus): {type(error).__name__}") from None
        except (KeyError, TypeError, AttributeError):
            raise Unanswerable(
                f"a corpus that can be understood: {file}, entry {number}: 'class', 'entries', and of each 'about', and"
                " 'package' or 'text' (policy_dryrun_corpus)"
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
