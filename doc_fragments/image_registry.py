# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connection options of image registry. ``module_utils/options.py`` holds the spec itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation that modules extend."""

    DOCUMENTATION = r"""
options:
  image_registry_url:
    description: Base URL of the OCI registry.
    type: str
  image_registry_cacert:
    description: CA certificate that its TLS certificate is verified by; the system's when unset.
    type: path
  image_registry_username:
    description: User that may pull, where one is asked for.
    type: str
  image_registry_password:
    description: That user's password.
    type: str
"""
