# What the audit may do in HashiCorp Vault or OpenBao, and nothing else. The lab applies exactly this file.
#   vault policy write auditor docs/grants/vault-policy.hcl
#   vault token create -orphan -policy=auditor -period=24h -explicit-max-ttl=720h
# Adapt: the mount names (secret, transit, approle), the services' folder (atom), the names of the probe role and the
# evidence key.

# Configuration: how the server, its mounts and its devices are set up. Listing audit devices is a root-protected path.
# An auth method's tuning is read as sys/mounts/auth/NAME/tune: sys/auth/NAME/tune would need sudo.
path "sys/auth"          { capabilities = ["read"] }
path "sys/mounts"        { capabilities = ["read"] }
path "sys/mounts/*"      { capabilities = ["read"] }
path "sys/audit"         { capabilities = ["read", "sudo"] }
path "sys/policies/acl"  { capabilities = ["list"] }
path "sys/policies/acl/*" { capabilities = ["read"] }
path "sys/policy"        { capabilities = ["read", "list"] }
path "sys/policy/*"      { capabilities = ["read"] }

# AppRoles and their outstanding secret ids (accessors only: the ids themselves cannot be read).
path "auth/approle/role"                             { capabilities = ["list"] }
path "auth/approle/role/+"                           { capabilities = ["read"] }
path "auth/approle/role/+/secret-id"                 { capabilities = ["list"] }
path "auth/approle/role/+/secret-id-accessor/lookup" { capabilities = ["update"] }

# Live tokens, by accessor: looks for root tokens and unbounded orphans.
path "auth/token/accessors"       { capabilities = ["list", "sudo"] }
path "auth/token/accessors/"      { capabilities = ["list", "sudo"] }
path "auth/token/lookup-accessor" { capabilities = ["update"] }

# The login probe: a role of the audit's own.
path "auth/approle/role/audit-probe/role-id"           { capabilities = ["read"] }
path "auth/approle/role/audit-probe/secret-id"         { capabilities = ["update", "list"] }
path "auth/approle/role/audit-probe/secret-id/destroy" { capabilities = ["update"] }
path "auth/approle/login"                              { capabilities = ["update"] }

# Whether required secrets exist, and whether a host's environment holds a value that belongs in here: compared in
# memory, never written or logged. Leave the data path out and `env.no_plaintext_secrets` is BLOCKED.
path "secret/metadata/atom"   { capabilities = ["list"] }
path "secret/metadata/atom/*" { capabilities = ["read", "list"] }
path "secret/data/atom/*"     { capabilities = ["read"] }

# Hash a value as the audit device does, to find the probe's own requests in its log.
path "sys/audit-hash/*" { capabilities = ["update"] }

# Sign the evidence.
path "transit/keys/audit-evidence"   { capabilities = ["read"] }
path "transit/sign/audit-evidence"   { capabilities = ["update"] }
path "transit/sign/audit-evidence/*" { capabilities = ["update"] }
