"""Test users of the simulated HMRC: people of published tests who file Self Assessment."""

from collections.abc import Mapping

import msgspec


class SandboxUser(msgspec.Struct, frozen=True, kw_only=True):
    """A test user, and their unique taxpayer reference."""

    id: str
    name: str
    nino: str
    utr: str

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


_IDA = SandboxUser(id="945350439195", name="Ida Newton", nino="PE938808A", utr="1000057161")
_SECOND = SandboxUser(id="000000000002", name="A taxpayer", nino="XM110477D", utr="8000083480")

SANDBOX_USERS: Mapping[str, SandboxUser] = {user.id: user for user in (_IDA, _SECOND)}
