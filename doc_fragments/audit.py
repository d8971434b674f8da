# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options, author and attributes of every check module. ``module_utils/options.py`` holds the spec itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation that modules extend."""

    DOCUMENTATION = r"""
options:
  audit:
    description: The run this check belongs to; the playbook gives it as C(audit_context).
    type: dict
    suboptions:
      run_id:
        description: Marks whatever an active probe leaves for a moment.
        type: str
      role:
        description: The role that asks; the name of an unset inventory variable is told from it.
        type: str
      probes:
        description: Whether active probes may be tried; with V(passive) they are BLOCKED.
        type: str
        choices: [active, passive]
        default: active
      deadline_s:
        description: Seconds after which checks without an answer are BLOCKED.
        type: float
        default: 60.0
author: The policy audit maintainers (!UNKNOWN)
attributes:
  check_mode:
    support: partial
    description: Can run in check mode without trying anything.
    details: Passive checks are asked; active ones are BLOCKED.
"""
