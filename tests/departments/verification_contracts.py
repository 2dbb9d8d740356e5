"""Contracts by which departments verify identity claims, each with one person on record."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from govid.bus import SystemClock
from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.verification import IdentityClaim
from govid.bus.upstream import Department, RequestPolicy
from govid.hmrc.clients.factory import build_verifier
from govid.hmrc.clients.oauth import ClientCredentials
from govid.hmrc.settings import MatchingContract
from govid.hmrc.simulator import HmrcSimulator
from govid.hmrc.simulator.app import CLIENT_SECRET
from govid.nhs.clients.factory import NhsConnection
from govid.nhs.clients.oauth import SigningCredentials
from govid.nhs.simulator import ClientKey, NhsSimulator
from tests.departments.hmrc import target as hmrc_target
from tests.departments.hmrc.api_requests import PDV_PATH
from tests.departments.nhs import target as nhs_target

PDS = ("pds",)
HMRC: tuple[MatchingContract, ...] = ("pdv", "individuals-2", "individuals-1")
WAYS: Mapping[str, Iterable[str]] = {
    **dict.fromkeys(PDS, nhs_target.WAYS),
    **dict.fromkeys(HMRC, hmrc_target.WAYS),
}

Row = tuple[Any, ...]


def rows(*, nhs: Iterable[object], hmrc: Iterable[object]) -> list[Row]:
    """Return a table: each value of a department, after the name of each of its contracts."""
    tables = ((PDS, tuple(nhs)), (HMRC, tuple(hmrc)))
    return [(name, value) for names, values in tables for name in names for value in values]


def in_every_way(table: Iterable[Row]) -> list[Row]:
    """Return *table* with each row once for each way in which its contract is reached."""
    return [(name, way, *row) for name, *row in table for way in WAYS[name]]


def build_facts(
    given: str | None, family: str, born: str, postcode: str | None = None
) -> ClaimedFacts:
    return ClaimedFacts(
        given_name=given,
        family_name=family,
        date_of_birth=date.fromisoformat(born),
        postcode=postcode,
    )


class PdsContract:
    """Verification of NHS numbers by PDS."""

    department = "nhs"
    person = ("9693632109", "Bill", "Garton", "1946-06-23")
    personal = ("9693632109", "garton", "1946-06", "1946, 6", "ls1")
    token_check = ("is_valid", False)
    reached = staticmethod(nhs_target.reached)

    def __init__(self, key: ClientKey) -> None:
        self._key = key

    def build_simulator(self, **settings: Any) -> NhsSimulator:
        return NhsSimulator(key=self._key, **settings)

    def build_verifier(
        self, department: Department, target: nhs_target.Target, policy: RequestPolicy, **who: Any
    ) -> Any:
        """Return the client of *target*; *who* replaces its credentials."""
        own = {"client_id": target.client_id, "kid": target.kid, "key": lambda: target.key}
        credentials = SigningCredentials(**{**own, **who})
        connection = NhsConnection(
            department, target.url, credentials, SystemClock(), policy=policy
        )
        return connection.build_patient_registry()

    @staticmethod
    def claim(number: str, *who: Any) -> IdentityClaim:
        """Return the claim of a number, with facts if there are any."""
        facts = build_facts(*who) if who else None
        return IdentityClaim(number=number, facts=facts, correlation_id="a.b")


class HmrcContract:
    """Verification of National Insurance numbers by one of HMRC's contracts."""

    department = "hmrc"
    person = ("AA000003D", "Jim", "Ferguson", "1948-04-23")
    personal = ("aa000003d", "ferguson", "1948-04", "1948, 4", CLIENT_SECRET)
    token_check = ("grant", None)
    reached = staticmethod(hmrc_target.reached)

    def __init__(self, name: MatchingContract) -> None:
        self._name = name

    @staticmethod
    def build_simulator(**settings: Any) -> HmrcSimulator:
        return HmrcSimulator(**settings)

    def build_verifier(
        self,
        department: Department,
        target: hmrc_target.Target,
        policy: RequestPolicy,
        pdv_path: str = PDV_PATH,
        **who: Any,
    ) -> Any:
        """Return the client of *target*; *who* replaces its credentials."""
        own = {
            "client_id": target.client_id,
            "client_secret": lambda: target.client_secret,
            "scope": target.scope,
        }
        credentials = ClientCredentials(**{**own, **who})
        return build_verifier(
            department, target.url, credentials, self._name, pdv_path=pdv_path, policy=policy
        )

    @staticmethod
    def claim(number: str, *who: Any) -> IdentityClaim:
        """Return the claim of a number, with facts if there are any."""
        facts = build_facts(*who) if who else None
        return IdentityClaim(number=number, facts=facts, correlation_id="a.b")


VerificationContract = PdsContract | HmrcContract
Connect = Callable[..., Any]


class ConnectedContract:
    """A contract whose client is connected to a simulator, or to a target that was named."""

    def __init__(
        self, contract: VerificationContract, simulator: Any, target: Any, connect: Connect
    ) -> None:
        self.contract = contract
        self.simulator = simulator
        self._target = target
        self._connect = connect
        self.reconnect()

    def reconnect(self, *policy: RequestPolicy, **changes: Any) -> None:
        """Build the client again, with *policy*, and with *changes* of its credentials."""
        self._verifier = self._connect(self.contract, self._target, *policy, **changes)

    async def verify(self, *who: Any) -> Any:
        """Verify the claim of *who*, or of the person on record."""
        claim = self.contract.claim(*(who or self.contract.person))
        return await self._verifier.verify(claim)
