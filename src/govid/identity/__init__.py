"""Identity: accounts, sign-ins, and who is calling."""

from govid.identity.module import Identity, build
from govid.identity.settings import IdentitySettings, ThrottleSettings
from govid.identity.tokens.keys import UnreadableKey
from govid.identity.tokens.rotation import KeyInTheWay, Rotation, Turn

__all__ = [
    "Identity",
    "IdentitySettings",
    "KeyInTheWay",
    "Rotation",
    "ThrottleSettings",
    "Turn",
    "UnreadableKey",
    "build",
]
