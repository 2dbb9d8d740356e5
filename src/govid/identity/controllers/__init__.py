"""The routes of identity: decode, call, return. One file for each kind of thing they act on."""

from govid.identity.controllers import accounts, credentials, keys, passwords, sessions

__all__ = ["accounts", "credentials", "keys", "passwords", "sessions"]
