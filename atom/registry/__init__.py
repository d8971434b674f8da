"""The workflow registry: uploads, approvals, dry-runs, runs, and the audit log's reader, over HTTP."""
