# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connection options of vault. ``module_utils/options.py`` holds the spec itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation that modules extend."""

    DOCUMENTATION = r"""
options:
  vault_addr:
    description: Address of the Vault or OpenBao server, with scheme and port.
    type: str
  vault_cacert:
    description: CA certificate that its TLS certificate is verified by; the system's when unset.
    type: path
  vault_namespace:
    description: Namespace of the audited mounts.
    type: str
  vault_token:
    description: Token of the auditor.
    type: str
"""
