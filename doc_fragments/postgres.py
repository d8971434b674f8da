# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connection options of postgres. ``module_utils/options.py`` holds the spec itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation that modules extend."""

    DOCUMENTATION = r"""
options:
  postgres_dsn:
    description: libpq connection string of the auditor.
    type: str
  postgres_app_dsn:
    description: libpq connection string of the application's own role, for probes that must be refused to it.
    type: str
  postgres_restore_dsn:
    description: libpq connection string of a role that reads everything, as backups do, and restores into databases of its own.
    type: str
  postgres_bin:
    description: Folder of pg_dump and pg_restore; those on the PATH when unset.
    type: path
"""
