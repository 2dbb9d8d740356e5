"""Both departments on the test's own database, for what holds of verification at each."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date
from typing import Any

import msgspec
import pytest
from msgspec import structs

from govid import hmrc, nhs
from govid.bus import Database, Module, UnitOfWork
from govid.bus.shared.identifiers import ClaimedFacts
from govid.hmrc.simulator import SCOPE, HmrcSimulator
from govid.nhs import NhsSimulator
from tests.departments.loopback import served
from tests.integration.department_fixtures import clock, uow
from tests.integration.departments import FixedClock
from tests.integration.fact_matching import StatedFacts
from tests.integration.hmrc.conftest import SETTINGS as HMRC_SETTINGS
from tests.integration.nhs.conftest import SETTINGS as NHS_SETTINGS

__all__ = ["clock", "uow"]

GARTON = ClaimedFacts(given_name="Bill", family_name="Garton", date_of_birth=date(1946, 6, 23))
SMITH = ClaimedFacts(given_name="Jane", family_name="Smith", date_of_birth=date(2010, 10, 22))
JIM = ClaimedFacts(given_name="Jim", family_name="Ferguson", date_of_birth=date(1948, 4, 23))


class VerifyingDepartment(msgspec.Struct, frozen=True, kw_only=True):
    """A department, and a number that it has on record with these facts."""

    name: str
    build: Callable[..., Module]
    settings: Any
    """The simulated department's, without limits."""
    simulator: Callable[..., Any]
    credentials: Callable[[Any], Mapping[str, Any]]
    """Returns the settings that are a client's of a simulator, if the department is remote."""
    number: str
    facts: ClaimedFacts


DEPARTMENTS = {
    "nhs": VerifyingDepartment(
        name="nhs",
        build=nhs.build,
        settings=structs.replace(NHS_SETTINGS, are_limits_lifted=True),
        simulator=NhsSimulator,
        credentials=lambda simulator: {
            "accept_prototype_nhs": False,
            "client_id": simulator.client_id,
            "kid": simulator.kid,
            "private_key": simulator.key.pem,
        },
        number="9693632109",
        facts=GARTON,
    ),
    "hmrc": VerifyingDepartment(
        name="hmrc",
        build=hmrc.build,
        settings=structs.replace(HMRC_SETTINGS, are_limits_lifted=True),
        simulator=HmrcSimulator,
        credentials=lambda simulator: {
            "client_id": simulator.client_id,
            "client_secret": simulator.client_secret,
            "scope": SCOPE,
        },
        number="AA000003D",
        facts=JIM,
    ),
}


@pytest.fixture(params=DEPARTMENTS)
def department(request: pytest.FixtureRequest) -> VerifyingDepartment:
    return DEPARTMENTS[request.param]


@pytest.fixture
def changes() -> Mapping[str, object]:
    """Return what a test changes of the settings."""
    return {}


@pytest.fixture
def facts() -> ClaimedFacts | None:
    """Return what is known of all account holders, unless the table of a test says otherwise."""
    return None


@pytest.fixture
async def module(
    department: VerifyingDepartment,
    changes: Mapping[str, Any],
    facts: ClaimedFacts | None,
    database: Database,
    uow: UnitOfWork,
    clock: FixedClock,
) -> AsyncIterator[Module]:
    settings = structs.replace(department.settings, **changes)
    module = department.build(settings, database, uow, clock, facts=StatedFacts(facts))
    yield module
    await module.stops[0]()


@pytest.fixture
def simulator(department: VerifyingDepartment) -> Any:
    return department.simulator(is_limited=False)


@pytest.fixture
async def remote(department: VerifyingDepartment, simulator: Any) -> AsyncIterator[Any]:
    """Yield the settings of a department on a loopback port."""
    async with served(simulator.application) as url:
        yield structs.replace(
            department.settings,
            registry="remote",
            base_url=url,
            **department.credentials(simulator),
        )
