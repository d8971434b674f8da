"""Make the audit's own code importable in tests as ``policy_audit.library`` and ``policy_audit.module_utils``.

Ansible finds both folders by their place, not as a package; a package over the repository's root lets the relative
imports of the modules resolve here as they do there.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_package = types.ModuleType("policy_audit")
_package.__path__ = [str(ROOT)]
sys.modules.setdefault("policy_audit", _package)
sys.path.insert(0, str(ROOT))
