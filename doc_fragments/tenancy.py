# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that say how tenants are kept apart in a database. ``module_utils/options.py`` holds the spec itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation that modules extend."""

    DOCUMENTATION = r"""
options:
  schemas:
    description: Schemas that hold tenants' tables.
    type: list
    elements: str
  tenant_column:
    description: Name of the column that says whose a row is.
    type: str
  app_role:
    description: Role that the application connects as.
    type: str
  shared_tables:
    description: Tables of these schemas that belong to no tenant, as C(schema.table).
    type: list
    elements: str
    default: []
"""
