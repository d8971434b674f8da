# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plays need to pick their data: who is audited, in which environment, by which policies."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

ENVIRONMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def policies_of(policies: Iterable[Mapping[str, Any]], group_names: Collection[str]) -> list[Mapping[str, Any]]:
    """The policies that any of a host's groups takes part in."""
    return [policy for policy in policies if set(policy["groups"]) & set(group_names)]


def environment_of(hostvars: Mapping[str, Any]) -> str:
    """The environment a host belongs to: C(audit_environment), else the folder of the inventory that lists it."""
    given = hostvars.get("audit_environment")
    folder = hostvars.get("inventory_dir")
    return _named(str(given)) if given else _named(Path(folder).resolve().name) if folder else "adhoc"


def environments_of(sources: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every environment of a run, also one whose inventory turned out empty; in the order given, each once."""
    named = []
    for source in sources:
        path = Path(source)
        if path.exists():
            folder = path.resolve() if path.is_dir() else path.resolve().parent
            named.append((folder, _named(folder.name)))
    inhabited = {environment_of(hostvars[host]) for host in hostvars}
    folders = {
        Path(hostvars[host]["inventory_dir"]).resolve() for host in hostvars if hostvars[host].get("inventory_dir")
    }
    # an inventory whose hosts all say `audit_environment` is reported under that name, not under its folder's as well
    empty = [name for folder, name in named if folder not in folders]
    ordered = [name for _folder, name in named if name in inhabited or name in empty]
    return list(dict.fromkeys([*ordered, *sorted(inhabited)]))


def audited_hosts(hostvars: Mapping[str, Mapping[str, Any]], variables: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Each host's environment, groups and registered answers, as M(policy_matrix) takes them."""
    names = list(variables)
    return {
        host: {
            "environment": environment_of(hostvars[host]),
            "groups": list(hostvars[host]["group_names"]),
            "results": {name: hostvars[host][name] for name in names if name in hostvars[host]},
        }
        for host in hostvars
    }


def _named(name: str) -> str:
    if not ENVIRONMENT_NAME.fullmatch(name):
        raise AnsibleFilterError(
            f"{name!r} cannot be an environment's name: letters, digits, '.', '_' and '-' only;"
            " rename the inventory folder or set audit_environment"
        )
    return name


class FilterModule:
    """Filters of the plays."""

    def filters(self) -> dict[str, Any]:
        return {"policies_of": policies_of, "environments_of": environments_of, "audited_hosts": audited_hosts}
