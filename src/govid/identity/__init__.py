"""Identity: accounts, sign-ins, and who is calling."""

from govid.identity.module import Identity, build
from govid.identity.settings import IdentitySettings, ThrottleSettings

__all__ = ["Identity", "IdentitySettings", "ThrottleSettings", "build"]
