"""Repositories of the NHS module, one per table.

Every read and change of citizens' data is restricted to the account that owns the row.
"""

from govid.nhs.repository.appointments import AppointmentRepository
from govid.nhs.repository.idempotency_keys import IdempotencyKeys, IdempotentRequest
from govid.nhs.repository.patients import PatientRepository
from govid.nhs.repository.slot_holds import SlotHold, SlotHoldRepository

__all__ = [
    "AppointmentRepository",
    "IdempotencyKeys",
    "IdempotentRequest",
    "PatientRepository",
    "SlotHold",
    "SlotHoldRepository",
]
