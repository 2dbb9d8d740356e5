"""Verification by facts, which is the same at both departments but for who is asked."""

import asyncio
from typing import Any
from uuid import UUID

from govid.bus import Database, Delivery, Handler, Module, UnitOfWork
from govid.bus.events import IdentifierType, VerificationRequested
from govid.bus.shared.identifiers import ClaimedFacts
from tests.integration.departments import a_verification, find_handler, handle, published

ACCOUNT_ID = UUID(int=1)
IDENTIFIERS = {"nhs": IdentifierType.NHS, "hmrc": IdentifierType.NIN}


class StatedFacts:
    """Returns the same claimed facts for every account."""

    def __init__(self, facts: ClaimedFacts | None) -> None:
        self.facts = facts

    async def for_account(self, account_id: UUID) -> ClaimedFacts | None:
        return self.facts


def verification_handler(module: Module) -> Handler[Any, Any]:
    return find_handler(module, f"{module.name}.verification")


def build_claim(module: Module, value: str) -> Delivery[VerificationRequested]:
    """Return the request to verify the identifier *value*."""
    return a_verification(IDENTIFIERS[module.name], value, ACCOUNT_ID)


async def verify_and_fetch(
    module: Module, uow: UnitOfWork, database: Database, value: str
) -> list[object]:
    """Verify *value*; return the published results, without their times."""
    await handle(verification_handler(module), build_claim(module, value), uow)
    return [
        (event["isVerified"], event["error"])
        for name, event in await published(database)
        if name == f"{module.name}.verification.completed"
    ]


async def verify_concurrently(module: Module, value: str, *, times: int = 1) -> list[type]:
    """Ask about *value* so many times at once; return what came back, or what was raised."""
    asked = (verification_handler(module).prepare(build_claim(module, value)) for _ in range(times))
    return [type(one) for one in await asyncio.gather(*asked, return_exceptions=True)]
