"""The rows of the NHS module. Nothing is read or changed but by the account it belongs to."""

from govid.nhs.repository.accounts import Accounts
from govid.nhs.repository.answers import Answers, Retry
from govid.nhs.repository.appointments import Appointments
from govid.nhs.repository.holds import Hold, Holds
from govid.nhs.repository.patients import Patients

__all__ = ["Accounts", "Answers", "Appointments", "Hold", "Holds", "Patients", "Retry"]
