"""All that govid holds about somebody, for themselves."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec

from govid.bus import Clock, Principal
from govid.identity.repository.export import Holdings
from govid.identity.repository.facts import Facts, KeptFacts
from govid.identity.repository.verification_attempts import VerificationHistory
from govid.identity.schemas import EventsView, ExportView


class Records(Protocol):
    """What another part of govid holds about an account. The gateway plugs it in."""

    async def of(self, account_id: UUID) -> Mapping[str, Sequence[Any]]:
        """Return everything, by kind; values are what JSON can hold."""


class Export:
    """Puts together what is held about an account: its own rows, and what the departments say.

    Nothing that opens anything is in it: of passwords and tokens it says only that there are some.
    """

    def __init__(
        self,
        holdings: Holdings,
        facts: Facts,
        verification: VerificationHistory,
        departments: Mapping[str, Records],
        clock: Clock,
        *,
        event_days: float,
    ) -> None:
        """Ask *departments*, by name. Events are kept for *event_days*."""
        self._holdings = holdings
        self._facts = facts
        self._verification = verification
        self._departments = departments
        self._clock = clock
        self._event_days = event_days

    async def of(self, principal: Principal) -> ExportView:
        """Return all that is held about *principal*."""
        account_id = principal.account_id
        held = await self._holdings.of(account_id)
        return ExportView(
            exported_at=self._clock.now(),
            account=held.account,
            sessions=held.sessions,
            letters=held.letters,
            links=held.links,
            claimed=_claimed(await self._facts.kept(account_id)),
            attempts=await self._verification.attempts(account_id),
            evidence=await self._verification.evidence(account_id),
            departments={
                name: await records.of(account_id) for name, records in self._departments.items()
            },
            events=EventsView(
                kept_days=self._event_days,
                statement=(
                    "What happens is kept as events, some of which hold your identifier or an"
                    " appointment as it was asked for. They are never changed, leave after this"
                    " many days, and are not part of this export."
                ),
            ),
        )


def _claimed(kept: KeptFacts | None) -> dict[str, Any] | None:
    if kept is None:
        return None
    said = msgspec.structs.asdict(kept.facts)
    return {**said, "claimed_at": kept.claimed_at, "confirmed_at": kept.confirmed_at}
