"""Which applications the simulated HMRC knows: one, with a secret that everybody may know."""

import msgspec

CLIENT_ID = "govid-simulated-application"
CLIENT_SECRET = "govid-simulated-secret"  # noqa: S105 - it opens nothing but a simulator
SCOPE = "read:individuals-matching-laa-c1"
"""A scope as HMRC gives it to one body for the matching of individuals."""

PDV = "individuals-authentication"
MATCHING = "individuals-matching"


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A registered application. It may have several `secrets`, so that they can take turns."""

    id: str
    secrets: tuple[str, ...]
    scopes: frozenset[str] = frozenset({SCOPE})
    subscriptions: frozenset[str] = frozenset({PDV, MATCHING})
    """The APIs that it may call."""

    def __repr__(self) -> str:
        """Name the struct only (I11)."""
        return "<Client>"


def known() -> Client:
    """Return the application that every simulator knows."""
    return Client(id=CLIENT_ID, secrets=(CLIENT_SECRET,))
