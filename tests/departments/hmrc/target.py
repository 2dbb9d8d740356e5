"""Which HMRC the contract tests run against: in this process, on a loopback port, or one named.

`GOVID_TEST_HMRC_URL` names another, with `GOVID_TEST_HMRC_CLIENT_ID`,
`GOVID_TEST_HMRC_CLIENT_SECRET` and `GOVID_TEST_HMRC_SCOPE` for its token endpoint: a simulator in
another process, or the sandbox. What changes a simulator's state is not asked of it.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import httpx
import msgspec

from govid.bus.upstream import in_process_transport
from govid.hmrc.simulator import BASE_URL, SCOPE, HmrcSimulator
from tests.departments.loopback import served

Way = Literal["in process", "loopback", "named"]
NAMED = os.environ.get("GOVID_TEST_HMRC_URL", "").rstrip("/")
WAYS: tuple[Way, ...] = ("in process", "loopback", "named") if NAMED else ("in process", "loopback")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An HMRC, how it is reached, and who we are there."""

    url: str
    transport: httpx.AsyncBaseTransport | None
    client_id: str
    client_secret: str
    scope: str


@asynccontextmanager
async def reached(way: Way, simulator: HmrcSimulator) -> AsyncIterator[Target]:
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
                client_id=os.environ["GOVID_TEST_HMRC_CLIENT_ID"],
                client_secret=os.environ["GOVID_TEST_HMRC_CLIENT_SECRET"],
                scope=os.environ["GOVID_TEST_HMRC_SCOPE"],
            )


def _target(
    simulator: HmrcSimulator, url: str, transport: httpx.AsyncBaseTransport | None
) -> Target:
    return Target(
        url=url,
        transport=transport,
        client_id=simulator.client_id,
        client_secret=simulator.client_secret,
        scope=SCOPE,
    )
