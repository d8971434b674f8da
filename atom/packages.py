"""Workflow packages (WPK): parsed once, strictly, into something every other part can trust.

YAML is read with duplicate keys refused (two readers could see two documents), aliases and merges resolved and counted
(a "billion laughs" is refused), and only plain data types.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000
MAX_TEXT = 200
MODES = ("manual", "auto")
MERGE = "tag:yaml.org,2002:merge"
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that YAML can escape but neither PostgreSQL nor UTF-8 can hold."""


class PackageError(Exception):
    """A package that cannot be accepted as one; ``code`` is for programs."""

    def __init__(self, message: str, code: str = "package_malformed") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Package:
    """A parsed package, bound to the digest of the bytes it came from."""

    digest: str
    name: str
    version: str
    author: str
    tenant: str
    declared_mode: Any
    schedule: str | None
    steps: tuple[Mapping[str, Any], ...]


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys, and merges (``<<``) that blow up: ten lines can make a million pairs."""

    merged = 0

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _value in node.value if key.tag != MERGE]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise PackageError(f"the key {min(twice)!r} stands twice in one mapping")
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        self.merged += len(node.value)
        if self.merged > MAX_NODES:
            raise PackageError("the package expands to too many values")


def digest_of(data: bytes) -> str:
    """``sha256:`` and the hex digest of exactly these bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def parse(data: bytes) -> Package:
    """The package in ``data``.

    :raises PackageError: saying what is wrong with it.
    """
    document = _document(data)
    metadata, spec = _mapping(document, "metadata"), _mapping(document, "spec")
    if document.get("apiVersion") != "atom/v1" or document.get("kind") != "WorkflowPackage":
        raise PackageError("apiVersion must be atom/v1 and kind WorkflowPackage")
    texts = {key: _text(metadata, key) for key in ("name", "version", "author", "tenant")}
    steps = spec.get("steps")
    if not isinstance(steps, list) or not steps:
        raise PackageError("spec.steps must be a list of at least one step")
    for step in walk(steps):
        if not isinstance(step.get("uses"), str):
            raise PackageError("each step must say what it uses")
    schedule = spec.get("schedule")
    if schedule is not None and not isinstance(schedule, str):
        raise PackageError("spec.schedule must be a cron expression")
    return Package(
        digest=digest_of(data), declared_mode=spec.get("mode"), schedule=schedule, steps=tuple(steps), **texts
    )


def walk(steps: Any) -> Iterator[Mapping[str, Any]]:
    """Every step, nested ones included, in order."""
    if not isinstance(steps, list):
        raise PackageError("steps must be a list")
    for step in steps:
        if not isinstance(step, dict):
            raise PackageError("each step must be a mapping")
        yield step
        if "steps" in step:
            yield from walk(step["steps"])


def _document(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise PackageError(f"the package is larger than {MAX_BYTES} bytes", "package_too_large")
    try:
        text = data.decode("utf-8")
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 -- a SafeLoader, made stricter
    except (UnicodeDecodeError, yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise PackageError("the package is not UTF-8 YAML of plain values") from None
    if not isinstance(document, dict):
        raise PackageError("the package is not a mapping")
    _count(document)
    return document


def _count(document: Any) -> None:
    """Refuse what aliases blow up to; counts occurrences, not objects."""
    pending, seen = [document], 0
    while pending:
        value = pending.pop()
        seen += 1
        if seen > MAX_NODES:
            raise PackageError("the package expands to too many values")
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, (list, set, tuple)):
            pending += value
        elif isinstance(value, str) and UNSTORABLE.search(value):
            raise PackageError("the package contains characters that are no text")


def _text(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key)
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
        raise PackageError(f"metadata.{key} must be a text of at most {MAX_TEXT} characters")
    return value


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise PackageError(f"{key} must be a mapping")
    return value
