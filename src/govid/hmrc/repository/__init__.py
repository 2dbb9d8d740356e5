"""Reads and writes the tables of the HMRC module: consents, tax records and blocked accounts."""

from govid.hmrc.repository.accounts import Accounts
from govid.hmrc.repository.consent_requests import ConsentRequests
from govid.hmrc.repository.consents import Consents, Holding, Kept
from govid.hmrc.repository.filed import FiledRecords

__all__ = ["Accounts", "ConsentRequests", "Consents", "FiledRecords", "Holding", "Kept"]
