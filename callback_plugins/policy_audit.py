# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person sees while the audit runs: a line per check as it is answered, then the matrix, then where it is.

Other playbooks, and every playbook at ``-v``, look as they do with Ansible's default callback; an audit at ``-v`` shows
both. Colours and line drawing are left out where standard output is no terminal.
"""

from __future__ import annotations

DOCUMENTATION = """
    name: policy_audit
    type: stdout
    short_description: Live lines per check, then the policy matrix
    version_added: "1.0"
    description:
      - Prints one line for each check as its module answers, with status, target and time.
      - Ends with the policy matrix of each environment and the paths of its reports.
    extends_documentation_fragment:
      - default_callback
      - result_format_callback
    requirements:
      - set as stdout in configuration
"""

import io
import sys
from typing import Any

from ansible import constants as C
from ansible.plugins.callback.default import CallbackModule as DefaultCallback
from ansible.utils.color import ANSIBLE_COLOR
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

COLOURS = {"PASS": C.COLOR_OK, "FAIL": C.COLOR_ERROR, "BLOCKED": C.COLOR_CHANGED}
STYLES = {
    "PASS": "green",
    "FAIL": "bold red",
    "BLOCKED": "yellow",
    "yes": "green",
    "no": "bold red",
    "unknown": "yellow",
}
PLAIN_WIDTH = 160
LONGEST_NOTE = 400


def one_line(value: Any, limit: int = 0) -> str:
    """Text from an audited system, for a terminal: one line, nothing it would obey, bounded if ``limit`` is given."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(str(value).split()))
    return f"{text[: limit - 1]}…" if 0 < limit < len(text) else text


class CallbackModule(DefaultCallback):
    """Ansible's default callback, quieter and to the point while an audit runs."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "policy_audit"

    def __init__(self) -> None:
        super().__init__()
        self._auditing = False
        self._matrices: list[dict[str, Any]] = []
        self._paths: dict[str, dict[str, str]] = {}
        self._decision = ""

    @property
    def _quiet(self) -> bool:
        return self._auditing and self._display.verbosity == 0

    def v2_playbook_on_start(self, playbook: Any) -> None:
        tasks = (task for play in playbook.get_plays() for block in play.tasks for task in block.block)
        self._auditing = any(task.action == "audit_run" for task in tasks)
        if not self._quiet:
            super().v2_playbook_on_start(playbook)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        if self._quiet:
            self._play = play
        else:
            super().v2_playbook_on_play_start(play)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        if not self._quiet:
            super().v2_playbook_on_task_start(task, is_conditional)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        if not self._quiet:
            super().v2_playbook_on_include(included_file)

    def v2_runner_on_ok(self, result: Any) -> None:
        if self._auditing:
            self._take(result)
        if not self._quiet:
            super().v2_runner_on_ok(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        if not self._quiet:
            super().v2_runner_on_skipped(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        if self._auditing:
            self._take(result)
        if not self._quiet:
            super().v2_runner_item_on_ok(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        if not self._quiet:
            super().v2_runner_item_on_skipped(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._not_answered(result, "failed", super().v2_runner_on_failed, ignore_errors=ignore_errors)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._not_answered(result, "failed", super().v2_runner_item_on_failed)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._not_answered(result, "unreachable", super().v2_runner_on_unreachable)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if not self._quiet:
            super().v2_playbook_on_stats(stats)
        for matrix in self._matrices:
            self._show_matrix(matrix)
        if self._decision:
            self._display.display(f"\n{self._decision}", color=C.COLOR_ERROR)

    def _take(self, result: Any) -> None:
        """Show the checks in a module's result; keep the matrix and the paths of the reports for the end."""
        payload = result.result
        for check in payload.get("checks") or []:
            self._show_check(check, result.host.get_name())
        if result.task.action == "policy_matrix":
            self._matrices = payload.get("matrices", [])
        if result.task.action == "report_files" and "paths" in payload:
            document = payload.get("policy_matrix_document", {})
            self._paths[document.get("environment", "")] = payload["paths"]

    def _not_answered(self, result: Any, state: str, show: Any, **options: Any) -> None:
        if not self._quiet:
            show(result, **options)
            return
        payload = result.result
        if payload.get("results") and not payload.get("msg", "").strip():
            return  # the items of the loop have been shown
        target = result.host.get_name()
        said = one_line(payload.get("msg", "no reason given"))
        if result.task.action.endswith("assert"):
            self._decision = said
        else:
            self._display.display(
                f"{'BLOCKED':8} {result.task_name} on {target} {state}: {said}", color=COLOURS["BLOCKED"]
            )

    def _show_check(self, check: dict[str, Any], target: str) -> None:
        status = str(check.get("status"))
        line = f"{status:8} {check.get('id', ''):38} {target:18} {check.get('duration_s', 0):7.2f} s"
        if status != "PASS":
            line += f"  {one_line(check.get('summary', ''), LONGEST_NOTE)}"
        self._display.display(line, color=COLOURS.get(status))

    def _show_matrix(self, matrix: dict[str, Any]) -> None:
        summary = matrix["summary"]
        head = f"{matrix['title']}: {matrix['environment']} (run {matrix['run_id']})"
        if matrix["partial"]:
            head += f", partial: {' '.join(matrix['limits'])}"
        table = Table(
            box=box.ROUNDED if ANSIBLE_COLOR else box.ASCII2,
            title=one_line(head),
            title_justify="left",
            show_lines=False,
        )
        for column, fixed in (
            ("Policy", 27),
            ("Implemented", 11),
            ("Enforced", 8),
            ("Evidence File", 24),
            ("Pass/Fail", 9),
        ):
            table.add_column(column, width=fixed)
        table.add_column("Notes", ratio=1, overflow="fold")
        for row in matrix["policies"]:
            table.add_row(
                Text(f"{row['id']} {row['policy']}"),
                *(Text(row[aspect], style=STYLES.get(row[aspect], "")) for aspect in ("implemented", "enforced")),
                Text("\n".join(row["evidence_files"])),
                Text(row["result"], style=STYLES.get(row["result"], "")),
                Text(one_line(row["notes"], LONGEST_NOTE)),
            )
        out = io.StringIO()
        wide = sys.stdout.isatty() and ANSIBLE_COLOR
        console = Console(
            file=out,
            force_terminal=bool(ANSIBLE_COLOR),
            width=None if wide else PLAIN_WIDTH,
            legacy_windows=False,
            highlight=False,
        )
        console.print(table)
        self._display.display(f"\n{out.getvalue().rstrip()}")
        verdict = "accepted" if matrix["accepted"] else "not accepted"
        counts = ", ".join(f"{summary[status]} {status}" for status in ("PASS", "FAIL", "BLOCKED"))
        self._display.display(
            f"{matrix['environment']}: {counts}: {verdict}", color=COLOURS["PASS" if matrix["accepted"] else "FAIL"]
        )
        for path in self._paths.get(matrix["environment"], {}).values():
            self._display.display(f"  {path}")
