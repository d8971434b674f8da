# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connection options of s3. ``module_utils/options.py`` holds the spec itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation that modules extend."""

    DOCUMENTATION = r"""
options:
  s3_endpoint:
    description: URL of the S3 service.
    type: str
  s3_region:
    description: Region that requests are signed for.
    type: str
    default: us-east-1
  s3_cacert:
    description: CA certificate that its TLS certificate is verified by; the system's when unset.
    type: path
  s3_access_key:
    description: Access key id of the auditor.
    type: str
  s3_secret_key:
    description: Secret key of the auditor.
    type: str
  s3_writer_access_key:
    description: Access key id of the identity that writes the audit log.
    type: str
  s3_writer_secret_key:
    description: Secret key of the identity that writes the audit log.
    type: str
"""
