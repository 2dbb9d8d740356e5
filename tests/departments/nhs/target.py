"""Which NHS the contract tests run against: in this process, on a loopback port, or one named.

`GOVID_TEST_NHS_URL` names another, with `GOVID_TEST_NHS_CLIENT_ID`, `GOVID_TEST_NHS_KID` and
`GOVID_TEST_NHS_KEY_FILE` for its token endpoint: a simulator in another process, a sandbox, the
integration environment. What changes a simulator's state is not asked of it.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import httpx
import msgspec

from govid.bus.upstream import in_process_transport
from govid.nhs.simulator import BASE_URL, NhsSimulator
from tests.departments.loopback import served

Way = Literal["in process", "loopback", "named"]
NAMED = os.environ.get("GOVID_TEST_NHS_URL", "").rstrip("/")
WAYS: tuple[Way, ...] = ("in process", "loopback", "named") if NAMED else ("in process", "loopback")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An NHS, how it is reached, and who we are there."""

    url: str
    transport: httpx.AsyncBaseTransport | None
    client_id: str
    kid: str
    key: bytes

    @property
    def token_url(self) -> str:
        return f"{self.url}/oauth2/token"

    @property
    def pds_url(self) -> str:
        return f"{self.url}/personal-demographics/FHIR/R4"


@asynccontextmanager
async def reached(way: Way, simulator: NhsSimulator) -> AsyncIterator[Target]:
    """Yield *simulator* as it is reached by *way*, or the one that was named."""
    match way:
        case "in process":
            yield _target(simulator, BASE_URL, in_process_transport(simulator.application))
        case "loopback":
            async with served(simulator.application) as url:
                yield _target(simulator, url, None)
        case "named":
            yield Target(
                url=NAMED,
                transport=None,
                client_id=os.environ["GOVID_TEST_NHS_CLIENT_ID"],
                kid=os.environ["GOVID_TEST_NHS_KID"],
                key=_named_key(),
            )


def _named_key() -> bytes:
    return Path(os.environ["GOVID_TEST_NHS_KEY_FILE"]).read_bytes()


def _target(
    simulator: NhsSimulator, url: str, transport: httpx.AsyncBaseTransport | None
) -> Target:
    return Target(
        url=url,
        transport=transport,
        client_id=simulator.client_id,
        kid=simulator.kid,
        key=simulator.key.pem,
    )
