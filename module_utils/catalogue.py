# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The catalogue of policies, read and checked: the one source of what is asked, by whom, and where it is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml


class CatalogueError(Exception):
    """The catalogue, or a selection from it, cannot be used; the text names the file, the key and the mend."""


@dataclass(frozen=True)
class Source:
    """Where an answer comes from: the variable a role registers it in, the module, and the group that must answer."""

    variable: str
    module: str
    group: str


@dataclass(frozen=True)
class Check:
    """One question, as the catalogue words it."""

    id: str
    source: Source
    aspect: str
    severity: str
    question: str
    how: str
    risk: str
    remedy: str


@dataclass(frozen=True)
class Policy:
    """One row of the matrix."""

    id: str
    policy: str
    role: str
    report: str
    evidence: tuple[str, ...]
    checks: tuple[Check, ...]
    sources: tuple[Source, ...]

    @property
    def groups(self) -> list[str]:
        return sorted({source.group for source in self.sources})

    @property
    def files(self) -> list[str]:
        return [self.report, *self.evidence]


@dataclass(frozen=True)
class Catalogue:
    """All policies, in matrix order."""

    title: str
    policies: tuple[Policy, ...]

    def select(self, tags: Collection[str], skip_tags: Collection[str]) -> list[Policy]:
        """The policies that ``--tags`` and ``--skip-tags`` leave; a tag is a policy's id or its role.

        :raises CatalogueError: for a tag no policy has, which Ansible itself would silently run nothing for.
        """
        known = {tag for policy in self.policies for tag in (policy.id, policy.role)}
        unknown = (set(tags) | set(skip_tags)) - known - {"all", "always", "tagged", "untagged", "never"}
        if unknown:
            raise CatalogueError(
                f"no policy is tagged {', '.join(sorted(unknown))}; tags are {', '.join(sorted(known))}"
            )
        everything = bool({"all", "tagged"} & set(tags))
        return [
            policy
            for policy in self.policies
            if (everything or {policy.id, policy.role} & set(tags)) and not {policy.id, policy.role} & set(skip_tags)
        ]

    @property
    def files(self) -> list[str]:
        """Every report and evidence file, each once, in matrix order."""
        return list(dict.fromkeys(name for policy in self.policies for name in policy.files))


def load(path: Path) -> Catalogue:
    """Read the catalogue at ``path`` by the schema that lies beside it.

    :raises CatalogueError: naming file, key and mend.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        schema = json.loads((path.parent / "schema.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CatalogueError(f"{path}: cannot be read: {error}") from None
    fault = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(data))
    if fault is not None:
        raise CatalogueError(f"{path}: {fault.json_path}: {fault.message}")
    catalogue = Catalogue(data["title"], tuple(_policy(path, item) for item in data["policies"]))
    _unique(path, "policy id", (policy.id for policy in catalogue.policies))
    _unique(path, "check id", (check.id for policy in catalogue.policies for check in policy.checks))
    _unique(path, "source", (source.variable for policy in catalogue.policies for source in policy.sources))
    return catalogue


def _policy(path: Path, item: dict[str, Any]) -> Policy:
    sources = {name: Source(name, **source) for name, source in item["sources"].items()}
    checks = []
    for check in item["checks"]:
        if check["source"] not in sources:
            raise CatalogueError(
                f"{path}: {item['id']}: check {check['id']}: source {check['source']!r} is not among the policy's"
                f" sources ({', '.join(sources)}); correct one of the two"
            )
        checks.append(Check(**{**check, "source": sources[check["source"]]}))
    return Policy(
        id=item["id"],
        policy=item["policy"],
        role=item["role"],
        report=item["report"],
        evidence=tuple(item["evidence"]),
        checks=tuple(checks),
        sources=tuple(sources.values()),
    )


def _unique(path: Path, noun: str, names: Iterable[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise CatalogueError(f"{path}: {noun} {', '.join(twice)} stands there twice; rename or remove one")
