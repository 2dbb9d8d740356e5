"""Repositories of the NHS module, one per table.

Every read and change of citizens' data is restricted to the account that owns the row.
"""

from govid.nhs.repository.accounts import Accounts
from govid.nhs.repository.answers import IdempotencyKeys, IdempotentRequest
from govid.nhs.repository.appointments import AppointmentRepository
from govid.nhs.repository.holds import SlotHold, SlotHoldRepository
from govid.nhs.repository.patients import PatientRepository

__all__ = [
    "Accounts",
    "AppointmentRepository",
    "IdempotencyKeys",
    "IdempotentRequest",
    "PatientRepository",
    "SlotHold",
    "SlotHoldRepository",
]
