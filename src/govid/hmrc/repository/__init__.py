"""Reads and writes the tables of the HMRC module: consents and tax records."""

from govid.hmrc.repository.consents import (
    ConsentCipher,
    ConsentRepository,
    ConsentRequestRepository,
    ConsentTokens,
    StoredConsent,
)
from govid.hmrc.repository.tax_records import TaxRecordRepository

__all__ = [
    "ConsentCipher",
    "ConsentRepository",
    "ConsentRequestRepository",
    "ConsentTokens",
    "StoredConsent",
    "TaxRecordRepository",
]
