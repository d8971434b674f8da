#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: report_files
short_description: Publish the files of one run, all of them at once
description:
  - Writes the files into a folder of the run's own, C(.runs/<run_id>), and then lets every published name point into it by
    one atomic rename of the link C(.current). A run killed at any moment leaves the previous report whole, and two runs at
    once never mix.
  - Files are private to the user who ran the audit (mode 0600, folders 0700).
  - Also writes in check mode, because the report is not a change to what is audited.
options:
  directory:
    description: Folder the files are published in; made when it is missing.
    type: path
    required: true
  run_id:
    description: The run's id.
    type: str
    required: true
  files:
    description: File name to text.
    type: dict
    required: true
  keep:
    description: How many runs stay in C(.runs), this one included.
    type: int
    default: 20
extends_documentation_fragment: report
"""

EXAMPLES = r"""
- name: Publish the reports
  report_files:
    directory: reports/lab
    run_id: "{{ audit_run.run_id }}"
    files:
      PhaseA_PolicyMatrix.csv: "{{ lookup('ansible.builtin.template', 'PhaseA_PolicyMatrix.csv.j2') }}"
"""

RETURN = r"""
paths: {description: "Published name to absolute path.", returned: success, type: dict}
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a file or a run may be called: nothing that could lead out of its folder."""


class UnsafeNameError(ValueError):
    """A name that is not a plain file name."""


def publish(directory: Path, run_id: str, files: Mapping[str, str]) -> dict[str, str]:
    """Write ``files`` for ``run_id`` and make them the current ones; returns name to published path.

    :raises UnsafeNameError: before anything is written.
    :raises OSError: if the disk refuses; what was published before is still whole.
    """
    for name in (run_id, *files):
        if not PLAIN_NAME.fullmatch(name):
            raise UnsafeNameError(f"{name!r} is not a plain file name")
    run_folder = directory / ".runs" / run_id
    run_folder.mkdir(mode=0o700, parents=True)
    try:
        for name, text in files.items():
            _write(run_folder / name, text)
        _sync(run_folder)
    except OSError:
        shutil.rmtree(run_folder, ignore_errors=True)
        raise
    _link(directory / ".current", Path(".runs") / run_id)
    for name in files:
        _link(directory / name, Path(".current") / name)
    return {name: str(directory / name) for name in files}


def prune(directory: Path, keep: int) -> None:
    """Remove the oldest runs beyond ``keep``; run ids sort by time, and the current run always stays."""
    runs = directory / ".runs"
    current = (directory / ".current").resolve().name
    oldest_first = sorted(entry.name for entry in runs.iterdir() if entry.name != current)
    for name in oldest_first[: max(0, len(oldest_first) + 1 - keep)]:
        shutil.rmtree(runs / name, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(path: Path, target: Path) -> None:
    """Let ``path`` be a link to ``target``, replacing whatever file or link was there in one step."""
    if path.is_symlink() and path.readlink() == target:
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "run_id": {"type": "str", "required": True},
            "files": {"type": "dict", "required": True},
            "keep": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    params = module.params
    directory = Path(params["directory"]).absolute()
    os.umask(0o077)
    try:
        paths = publish(directory, params["run_id"], params["files"])
        prune(directory, params["keep"])
    except (OSError, UnsafeNameError) as error:
        module.fail_json(
            msg=f"The reports could not be written to {directory}: {error}. The previous ones are untouched."
        )
    module.exit_json(changed=True, paths=paths)


if __name__ == "__main__":
    main()
