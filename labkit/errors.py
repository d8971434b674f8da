"""What can stand in the way of a lab."""

from __future__ import annotations


class UnavailableError(RuntimeError):
    """A part cannot be had on this machine; the message says why, for the operator."""


class LabNotRunningError(RuntimeError):
    """The folder holds no lab that is up."""
