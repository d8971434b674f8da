# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one way a question can be unanswerable. Helpers raise; only the guard decides what that means."""

from __future__ import annotations


class Unanswerable(Exception):  # noqa: N818 -- says what is missing, not that something went wrong
    """A check could not be asked, and ``prerequisite`` says what is missing, in words an operator can act on.

    Every client turns the exceptions of its library into this one and names the system, its address and what it
    answered; never a credential.
    """

    def __init__(self, prerequisite: str) -> None:
        super().__init__(prerequisite)
        self.prerequisite = prerequisite


class CheckMode(Unanswerable):
    """An active probe was asked for while only passive ones are allowed."""
