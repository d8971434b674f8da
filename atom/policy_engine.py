"""The policy engine: says before a run what a workflow would do that it must not.

Rules are data (``rules.yml``); this module's work is that they see what the workers would execute, not how it was
spelled: encodings are undone, look-alike letters folded, string arithmetic in templates evaluated, lists joined. A
template in a statement that cannot be evaluated now could become anything later, and is a finding itself.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from atom.packages import Package
from atom.settings import Settings

CLASSES = (
    "destructive_data",
    "destructive_infrastructure",
    "privilege",
    "secret_exposure",
    "network_opening",
    "arbitrary_shell",
    "control_disabling",
)
DECODE_DEPTH = 3
LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0458\u0455\u0501\u04bb\u04cf", "aeopcxyijsdhl"
) | str.maketrans("\u03b1\u03bf\u03c1\u03bd\u03b9", "aopvi")
"""Cyrillic and Greek letters drawn like Latin ones (Unicode TR39 confusables), after case folding."""
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
CONCATENATION = re.compile(r"""(['"])((?:(?!\1).)*)\1\s*[~+]\s*(['"])((?:(?!\3).)*)\3""")
LITERAL_TEMPLATE = re.compile(r"""\{\{\s*(['"])((?:(?!\1).)*)\1\s*(?:\|\s*(?:lower|upper|trim|string|safe)\s*)*\}\}""")
ENCODED = re.compile(r"(?<![\w+/=-])(?:[A-Za-z0-9+/_-]{12,}={0,2}|(?:[0-9a-fA-F]{2}){6,})(?![\w+/=-])")
EXECUTABLE = re.compile(r"^(?:(?:statement|query|sql|command|cmd|script|args?|expression)\b)")
PARAMETER = re.compile(r"\{\{\s*(?:params|inputs|tenant|run)\.\w+\s*\}\}")
"""Templates that workers bind as values, never as code."""


@dataclass(frozen=True)
class Rule:
    """One thing no workflow may do."""

    id: str
    class_: str
    severity: str
    description: str
    uses: re.Pattern[str] | None
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Finding:
    """Where a package breaks a rule."""

    rule: str
    class_: str
    path: str
    message: str

    def as_json(self) -> dict[str, str]:
        found = asdict(self)
        found["class"] = found.pop("class_")
        return found


@cache
def rules() -> tuple[Rule, ...]:
    """The rules, in the order of ``rules.yml``."""
    data = yaml.safe_load((Path(__file__).parent / "rules.yml").read_text(encoding="utf-8"))
    return tuple(
        Rule(
            id=item["id"],
            class_=item["class"],
            severity=item["severity"],
            description=item["description"],
            uses=re.compile(item["uses"]) if "uses" in item else None,
            pattern=re.compile("|".join(item["patterns"]), re.MULTILINE),
        )
        for item in data
    )


def judge(package: Package, settings: Settings) -> list[Finding]:
    """Every finding in a package; none means it may run."""
    blind = {name for name in CLASSES if settings.defective(f"dryrun_misses_{name}")}
    return [
        finding
        for path, step in _steps(package.steps, "spec.steps")
        for finding in _judge_step(path, step)
        if finding.class_ not in blind
    ]


def _judge_step(path: str, step: Mapping[str, Any]) -> Iterator[Finding]:
    uses = normalise(str(step.get("uses", "")))
    leaves = [leaf for key in step if key not in ("steps", "uses") for leaf in _leaves(key, step[key])]
    lines = [f"{_last(key)}={normalise(value)}" for key, value in leaves]
    text = "\n".join([f"uses={uses}", *lines])
    for rule in rules():
        if (rule.uses is None or rule.uses.match(uses)) and rule.pattern.search(text):
            yield Finding(rule.id, rule.class_, path, rule.description)
    opaque = "{{" in uses or any("{{" in PARAMETER.sub("", line) for line in lines if EXECUTABLE.match(line))
    if opaque:
        yield Finding("opaque-template", "arbitrary_shell", path, "A template decides what is executed")


def _steps(steps: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, step in enumerate(steps):
        here = f"{path}[{index}]"
        yield here, step
        yield from _steps(step.get("steps") or (), f"{here}.steps")


def _leaves(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every scalar with its dotted key; a list of scalars also as the one text that a worker would join."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(f"{key}.{name}", item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(key, item)
        if all(not isinstance(item, (Mapping, list, tuple)) for item in value):
            yield key, " ".join(map(_scalar, value))
            yield key, "".join(map(_scalar, value))
    else:
        yield key, _scalar(value)


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _last(key: str) -> str:
    return normalise(key.rsplit(".", 1)[-1])


def normalise(text: str, depth: int = DECODE_DEPTH) -> str:
    """The text as it would be understood, followed by whatever it hides in base64 or hexadecimal."""
    folded = INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    folded = _evaluate(folded)
    hidden = [normalise(plain, depth - 1) for plain in _decoded(folded)] if depth else []
    plain = folded.casefold().translate(LOOK_ALIKES)
    plain = re.sub(r"/\*.*?\*/|--[^\n]*\n", " ", plain, flags=re.DOTALL)
    plain = re.sub(r"\$\{?ifs\}?", " ", plain)
    plain = re.sub(r"(?<=\w)(?:''|\"\"|\\)(?=\w)", "", plain)  # r""m and r\m are rm to a shell
    return "\n".join([re.sub(r"\s+", " ", plain).strip(), *hidden])


def _evaluate(text: str) -> str:
    """Undo string arithmetic: ``{{ 'DR' ~ 'OP' }}`` is ``DROP``."""
    while True:
        simpler = CONCATENATION.sub(lambda m: f"{m[1]}{m[2]}{m[4]}{m[1]}", text, count=1)
        simpler = LITERAL_TEMPLATE.sub(lambda m: m[2], simpler)
        if simpler == text:
            return text
        text = simpler


def _decoded(text: str) -> Iterator[str]:
    for token in ENCODED.findall(text):
        for decode in (_from_base64, binascii.unhexlify):
            try:
                plain = decode(token).decode("utf-8")
            except (ValueError, binascii.Error):
                continue
            if len(plain) > 3 and all(char.isprintable() or char.isspace() for char in plain):
                yield plain


def _from_base64(token: str) -> bytes:
    body = token.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
