# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connection options of prometheus. ``module_utils/options.py`` holds the spec itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation that modules extend."""

    DOCUMENTATION = r"""
options:
  prometheus_url:
    description: Base URL of Prometheus.
    type: str
  prometheus_cacert:
    description: CA certificate that its TLS certificate is verified by; the system's when unset.
    type: path
  prometheus_token:
    description: Bearer token, where one is asked for.
    type: str
"""
