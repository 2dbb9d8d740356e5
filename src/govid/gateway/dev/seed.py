"""Seeds a database with synthetic people, their records and their events.

It writes the modules' tables directly, because clients cannot reach some of these states. Seeding
again changes nothing: existing accounts stay unchanged.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from uuid import UUID

from argon2 import PasswordHasher
from sqlalchemy import text

from govid import nhs
from govid.bus import BusSettings, OperationContext, SystemClock, Transaction, uuid7
from govid.bus.events import (
    AccountBlocked,
    AccountRegistered,
    AccountVerificationFailed,
    AccountVerified,
    IdentifierType,
)
from govid.bus.runtime import Bus
from govid.bus.shared.context import Actor
from govid.bus.shared.contract import AccountStatus
from govid.gateway.dev.people import SyntheticPerson

BATCH = 100
SEED_CONTEXT = OperationContext(
    correlation_id="seed", actor=Actor(kind="operator", id="govid seed")
)

_ACCOUNT = text("""
    INSERT INTO identity.account
        (id, email, email_canonical, identifier_type, identifier_value, phone_number,
         password_hash, status, status_before, created_at, updated_at)
    VALUES (:id, :email, :email, :identifier_type, :identifier_value, :phone_number,
            :password_hash, :status, :status_before, :now, :now)
    ON CONFLICT DO NOTHING
    RETURNING id
""")
_PATIENT = text("""
    INSERT INTO nhs.patient
        (id, account_id, name, nhs_number, medical_history, source, created_at, updated_at)
    VALUES (:id, :account_id, :name, :nhs_number, 'Hay fever', 'registry', :now, :now)
""")
_APPOINTMENT = text("""
    INSERT INTO nhs.appointment
        (id, account_id, patient_identifier, requested_datetime, doctor_specialty, status,
         confirmed_datetime, confirmation_details, created_at, updated_at)
    VALUES (:id, :account_id, :nhs_number, :moment, :specialty, :status, :moment,
            'Room 2, ground floor', :now, :now)
""")
_TAX_RECORD = text("""
    INSERT INTO hmrc.tax_record
        (id, account_id, name, tax_number, tax_year, tax_amount, created_at)
    VALUES (:id, :account_id, :name, :utr, :tax_year, :tax_amount, :now)
""")
_TAX_YEARS = (("2023-2024", Decimal("3486.00")), ("2024-2025", Decimal("3712.40")))


def hash_password(password: str) -> str:
    """Return the password hash that all seeded accounts share.

    It has the minimum strength: the first sign-in replaces it by one with the configured strength.
    """
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(password)


async def seed_people(
    settings: BusSettings, people: Iterable[SyntheticPerson], password_hash: str
) -> AsyncIterator[int]:
    """Seed *people* in batches; yield the number of new accounts after each batch."""
    bus = Bus(settings, SystemClock())
    # The events of seeded accounts get the same pending deliveries as those of real accounts.
    departments = nhs.NhsSettings(registry="simulator", accept_prototype_nhs=True)
    bus.add_module(nhs.build(departments, bus.database, bus.uow, bus.clock))
    try:
        for batch in _batches(people):
            async with bus.uow.begin(SEED_CONTEXT) as tx:
                added = [await _add(tx, person, password_hash) for person in batch]
            yield sum(added)
    finally:
        await bus.database.close_pools()


async def _add(tx: Transaction, person: SyntheticPerson, password_hash: str) -> bool:
    account_id = uuid7()
    result = await tx.execute(
        _ACCOUNT,
        {
            "id": account_id,
            "email": person.email,
            "identifier_type": person.identifier_type,
            "identifier_value": person.identifier_value,
            "phone_number": person.phone_number,
            "password_hash": password_hash,
            "status": person.status,
            "status_before": person.status_before,
            "now": tx.now,
        },
    )
    if result.first() is None:
        return False
    _emit_history(tx, person, account_id)
    if person.status == AccountStatus.VERIFIED and person.identifier_type == "NHS":
        await _add_health(tx, person, account_id)
    if person.utr is not None:
        await _add_taxes(tx, person, account_id)
    return True


def _emit_history(tx: Transaction, person: SyntheticPerson, account_id: UUID) -> None:
    kind = person.identifier_type and IdentifierType(person.identifier_type)
    tx.emit(AccountRegistered(account_id=account_id, identifier_type=kind, timestamp=tx.now))
    if AccountStatus.VERIFIED in {person.status, person.status_before}:
        tx.emit(AccountVerified(account_id=account_id, timestamp=tx.now))
    if person.status == AccountStatus.FAILED:
        tx.emit(AccountVerificationFailed(account_id=account_id, timestamp=tx.now))
    if person.status == AccountStatus.BLOCKED:
        tx.emit(AccountBlocked(account_id=account_id, timestamp=tx.now))


async def _add_health(tx: Transaction, person: SyntheticPerson, account_id: UUID) -> None:
    row = {"account_id": account_id, "nhs_number": person.identifier_value, "now": tx.now}
    await tx.execute(_PATIENT, {**row, "id": uuid7(), "name": person.name})
    morning = datetime.combine(tx.now, datetime.min.time(), UTC) + timedelta(hours=10)
    for days, specialty, status in ((-30, "Dermatology", "COMPLETED"), (14, "GP", "CONFIRMED")):
        await tx.execute(
            _APPOINTMENT,
            {
                **row,
                "id": uuid7(),
                "moment": morning + timedelta(days=days),
                "specialty": specialty,
                "status": status,
            },
        )


async def _add_taxes(tx: Transaction, person: SyntheticPerson, account_id: UUID) -> None:
    for tax_year, amount in _TAX_YEARS:
        await tx.execute(
            _TAX_RECORD,
            {
                "id": uuid7(),
                "account_id": account_id,
                "name": person.name,
                "utr": person.utr,
                "tax_year": tax_year,
                "tax_amount": amount,
                "now": tx.now,
            },
        )


def _batches(people: Iterable[SyntheticPerson]) -> Iterable[list[SyntheticPerson]]:
    remaining = iter(people)
    while batch := list(islice(remaining, BATCH)):
        yield batch
