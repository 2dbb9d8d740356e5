"""The clients of the NHS that the settings select."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from msgspec import structs

from govid import nhs
from govid.bus import Database, Module, UnitOfWork
from govid.nhs import NhsSettings
from govid.nhs.simulator import ClientKey
from tests.integration.departments import FixedClock, serving

APPOINTMENT_REQUEST = {
    "patient_identifier": "943 476 5919",
    "requested_datetime": "2030-03-04T09:30:00",
    "doctor_specialty": "Cardiology",
}


@pytest.fixture
def remote() -> NhsSettings:
    """Return the settings of an NHS that is not asked."""
    return NhsSettings(
        registry="remote",
        accept_prototype_nhs=False,
        base_url="http://127.0.0.1:1",
        client_id="me",
        kid="key-1",
        private_key=ClientKey().pem,
    )


@pytest.fixture
async def module(
    remote: NhsSettings, database: Database, uow: UnitOfWork, clock: FixedClock
) -> AsyncIterator[Module]:
    module = nhs.build(remote, database, uow, clock)
    yield module
    await module.stops[0]()


async def test_where_no_one_decides_about_appointments_none_is_taken(module: Module) -> None:
    async with serving(module, UUID(int=1)) as client:
        answer = await client.post("/api/nhs/appointments", json=APPOINTMENT_REQUEST)
    assert answer.status_code == 503


@pytest.mark.parametrize("key", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_key_that_is_none_stops_the_start(
    remote: NhsSettings, database: Database, uow: UnitOfWork, clock: FixedClock, key: bytes
) -> None:
    broken = structs.replace(remote, private_key=key)
    with pytest.raises(ValueError, match="GOVID_NHS_PRIVATE_KEY is no RSA private key"):
        nhs.build(broken, database, uow, clock)
