"""Simulates the tax APIs of HMRC, with synthetic data of its test users."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from govid.hmrc.tax_year import TaxYear

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_IDA = "1000057161"
_SECOND = "8000083480"
_BENEFITS = "pensionsAnnuitiesAndOtherStateBenefits"

Document = Mapping[str, Any]

ANNUAL_SUMMARIES: Mapping[tuple[str, str, TaxYear], Document] = {
    ("tax", _IDA, TaxYear(2024)): {
        "employments": [
            {"employerPayeReference": "123/AB456", "taxTakenOffPay": Decimal("1990.10")},
            {"employerPayeReference": "456/CD789", "taxTakenOffPay": Decimal("0.00")},
        ],
        _BENEFITS: {"otherPensionsAndRetirementAnnuities": Decimal("250.55")},
        "refunds": {"taxRefundedOrSetOff": Decimal("0.00")},
    },
    ("income", _IDA, TaxYear(2024)): {
        "employments": [
            {"employerPayeReference": "123/AB456", "payFromEmployment": Decimal("22520.65")},
            {"employerPayeReference": "456/CD789", "payFromEmployment": Decimal("899.00")},
        ],
        _BENEFITS: {
            "otherPensionsAndRetirementAnnuities": Decimal("1252.75"),
            "incapacityBenefit": Decimal("0.00"),
        },
    },
    ("employment", _IDA, TaxYear(2024)): {
        "employments": [
            {
                "employerPayeReference": "123/AB456",
                "employerName": "Acme Ltd",
                "offPayrollWorkFlag": False,
            },
            {"employerPayeReference": "456/CD789", "employerName": "Globex plc"},
        ]
    },
    # A year of which one API has data, and the others have none.
    ("tax", _IDA, TaxYear(2023)): {
        "employments": [],
        _BENEFITS: {},
        "refunds": {"taxRefundedOrSetOff": Decimal("342.92")},
    },
    ("income", _SECOND, TaxYear(2024)): {
        "employments": [
            {"employerPayeReference": "789/EF012", "payFromEmployment": Decimal("4503599627370.97")}
        ],
        _BENEFITS: {},
    },
}
"""Annual summaries by API, reference and year."""

ACCOUNTS: Mapping[str, Document] = {
    _IDA: {
        "balanceDetails": {
            "totalOverdueBalance": Decimal(500),
            "totalPayableBalance": Decimal(500),
            "earliestPayableDueDate": "2026-01-31",
            "totalPendingBalance": Decimal(1500),
            "totalBalance": Decimal(2500),
            "totalCreditAvailable": Decimal(0),
        },
        "chargeDetails": [
            {
                "chargeId": "AB1234567",
                "creationDate": "2025-01-15",
                "chargeType": "ITSA",
                "chargeAmount": Decimal(1250),
                "outstandingAmount": Decimal(500),
                "taxYear": "2024-2025",
                "dueDate": "2026-01-31",
                "amendments": [
                    {
                        "amendmentDate": "2025-04-15",
                        "amendmentAmount": Decimal(500),
                        "amendmentReason": "Payment",
                        "isPaymentRelated": True,
                        "paymentMethod": "bank_transfer",
                        "paymentDate": "2025-04-10",
                    }
                ],
            }
        ],
        "refundDetails": [
            {"totalRefundAmount": Decimal("355.25"), "refundRequestAmount": Decimal(350)}
        ],
        "paymentHistoryDetails": [
            {
                "paymentAmount": Decimal(500),
                "paymentReference": "PAY123456",
                "paymentDate": "2025-04-11",
            }
        ],
    }
}
"""Self Assessment accounts by reference."""


def encode_document(document: Document) -> bytes:
    """Encode *document* as JSON, with amounts as exact numbers."""
    return _ENCODER.encode(document)
