"""Identity: accounts, sign-ins, and who is calling."""

from govid.identity.module import Identity, build
from govid.identity.settings import IdentitySettings

__all__ = ["Identity", "IdentitySettings", "build"]
