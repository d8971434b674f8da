# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules have in common that join and write a report."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation that modules extend."""

    DOCUMENTATION = r"""
author: The policy audit maintainers (!UNKNOWN)
attributes:
  check_mode:
    support: full
    description: Can run in check mode; the report says that it was one.
"""
