"""ATOM, a workflow-automation platform: the reference environment this repository's audit is tried on.

Tenants upload signed workflow packages to a registry; a policy engine dry-runs them; approved ones run. Every decision
is recorded in a hash-chained audit log. The audit shares no code with it, on purpose: both implement the formats.
"""
