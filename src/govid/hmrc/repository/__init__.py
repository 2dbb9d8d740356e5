"""Reads and writes the tables of the HMRC module: consents, tax records and blocked accounts."""

from govid.hmrc.repository.consents import (
    ConsentRepository,
    ConsentRequestRepository,
    ConsentTokens,
    StoredConsent,
)
from govid.hmrc.repository.tax_records import TaxRecordRepository

__all__ = [
    "ConsentRepository",
    "ConsentRequestRepository",
    "ConsentTokens",
    "StoredConsent",
    "TaxRecordRepository",
]
