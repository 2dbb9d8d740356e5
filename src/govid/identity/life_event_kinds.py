"""Kinds of life events: what can happen to the holder of an account, or to the account.

Separate from the tables, so that commands can use it without importing the database mapping (I13).
"""

from enum import StrEnum


class LifeEventKind(StrEnum):
    """A life event, as a notice or an operator reports it."""

    DEATH = "death"
    BLOCK = "block"
    RESTORE = "restore"
