"""Repositories of the NHS module, one per table.

Every read and change of citizens' data is restricted to the account that owns the row.
"""

from govid.nhs.repository.accounts import Accounts
from govid.nhs.repository.answers import Answers, Retry
from govid.nhs.repository.appointments import Appointments
from govid.nhs.repository.holds import Hold, Holds
from govid.nhs.repository.patients import Patients

__all__ = ["Accounts", "Answers", "Appointments", "Hold", "Holds", "Patients", "Retry"]
