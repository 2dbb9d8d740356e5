"""The routes of identity: decode, call, return. One file for each kind of thing they act on."""

from govid.identity.controllers import (
    accounts,
    credentials,
    departure,
    emails,
    keys,
    passwords,
    sessions,
    verification,
)

__all__ = [
    "accounts",
    "credentials",
    "departure",
    "emails",
    "keys",
    "passwords",
    "sessions",
    "verification",
]
