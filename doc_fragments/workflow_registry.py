# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connection options of workflow registry. ``module_utils/options.py`` holds the spec itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation that modules extend."""

    DOCUMENTATION = r"""
options:
  workflow_registry_url:
    description: Base URL of the workflow registry, with its route prefix if it has one.
    type: str
  workflow_registry_cacert:
    description: CA certificate that its TLS certificate is verified by; the system's when unset.
    type: path
  workflow_registry_token:
    description: Token that may read every tenant's packages and the audit events.
    type: str
  workflow_registry_publisher_token:
    description: Token that may publish packages in the tenant set aside for probes.
    type: str
  workflow_registry_approver_token:
    description: Token of an administrator of that tenant.
    type: str
  workflow_registry_probe_tenant:
    description: Tenant set aside for probes.
    type: str
    default: audit-probe
  workflow_registry_probe_key:
    description: PEM private key (ECDSA P-256) whose public half the registry trusts for that tenant.
    type: path
"""
