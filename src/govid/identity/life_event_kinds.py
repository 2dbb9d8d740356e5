"""The kinds of events in the life of an account, for commands that need no database mapping."""

from enum import StrEnum


class Kind(StrEnum):
    """What happened, by somebody's word."""

    DEATH = "death"
    BLOCK = "block"
    RESTORE = "restore"
