"""Verification by facts, which is the same at both departments but for who is asked."""

import asyncio
from typing import Any
from uuid import UUID

from govid.bus import Database, Delivery, Handler, Module, UnitOfWork
from govid.bus.contracts import IdentifierType, VerificationRequested
from govid.bus.contracts.facts import ClaimedFacts
from tests.integration.departments import a_verification, handle, handler_of, published

ACCOUNT_ID = UUID(int=1)
IDENTIFIERS = {"nhs": IdentifierType.NHS, "hmrc": IdentifierType.NIN}


class Said:
    """Everybody says the same of themselves."""

    def __init__(self, facts: ClaimedFacts) -> None:
        self.facts = facts

    async def of(self, account_id: UUID) -> ClaimedFacts | None:
        return self.facts


def verifying(module: Module) -> Handler[Any, Any]:
    return handler_of(module, f"{module.name}.verification")


def claim_of(module: Module, value: str) -> Delivery[VerificationRequested]:
    """Return the question whether the identifier *value* is somebody's."""
    return a_verification(IDENTIFIERS[module.name], value, ACCOUNT_ID)


async def answers(module: Module, uow: UnitOfWork, database: Database, value: str) -> list[object]:
    """Verify *value*; return what was said, but for the times."""
    await handle(verifying(module), claim_of(module, value), uow)
    return [
        (event["isVerified"], event["error"])
        for name, event in await published(database)
        if name == f"{module.name}.verification.completed"
    ]


async def ended(module: Module, value: str, *, times: int = 1) -> list[type]:
    """Ask about *value* so many times at once; return what came back, or what was raised."""
    asked = (verifying(module).prepare(claim_of(module, value)) for _ in range(times))
    return [type(one) for one in await asyncio.gather(*asked, return_exceptions=True)]
