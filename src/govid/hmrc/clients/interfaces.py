"""Defines the interfaces and value types of HMRC: verification, consent and tax records."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Protocol

from govid.bus.shared.privacy import RedactedStruct
from govid.bus.shared.verification import IdentityClaim, VerificationFinding
from govid.hmrc.tax_values import TaxYear


class NinoVerifier(Protocol):
    """Verifies National Insurance numbers.

    Every expected result, also an outage, is an outcome and not an exception. Unlike the NHS, HMRC
    returns no data about a matched person.
    """

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:
        """Verify that the number belongs to the claimant."""


class ReconsentRequired(Exception):
    """The consent has ended, was withdrawn at HMRC, or does not cover the request."""


class InvalidConsentCode(Exception):
    """HMRC does not accept the authorisation code."""


class AccessTokenRefused(Exception):
    """HMRC does not accept the access token any more; a renewed one may be accepted."""


class ReferenceNotPermitted(Exception):
    """The reference belongs to another person than the one who consented."""


class DataNotFound(Exception):
    """HMRC has no data for that period. Tax may still have been paid."""


class InvalidTaxRequest(Exception):
    """HMRC rejects the reference, the year or the day as malformed."""


class GrantedTokens(RedactedStruct, frozen=True, kw_only=True):
    """An access token and a one-time refresh token for one person's records."""

    access_token: str
    refresh_token: str
    life_seconds: float


class TaxRecordRequest(RedactedStruct, frozen=True, kw_only=True):
    """The taxpayer reference to read, and the access token for it."""

    utr: str
    access_token: str
    correlation_id: str | None = None


class EmploymentSummary(RedactedStruct, frozen=True, kw_only=True):
    """One employment in a tax year; None is a member that HMRC did not send."""

    paye_reference: str
    employer: str | None = None
    is_off_payroll: bool | None = None
    pay: Decimal | None = None
    tax: Decimal | None = None


class StateBenefits(RedactedStruct, frozen=True, kw_only=True, rename="camel"):
    """Pensions, annuities and benefits: amounts received, or tax taken off."""

    other_pensions_and_retirement_annuities: Decimal | None = None
    incapacity_benefit: Decimal | None = None
    jobseekers_allowance: Decimal | None = None
    seiss_net_paid: Decimal | None = None


class TaxYearSummary(RedactedStruct, frozen=True, kw_only=True):
    """A tax year at HMRC. None means no data, which is not zero."""

    employments: Sequence[EmploymentSummary] | None = None
    received: StateBenefits | None = None
    taken_off: StateBenefits | None = None
    refunded: Decimal | None = None


class AccountBalance(RedactedStruct, frozen=True, kw_only=True, rename="camel"):
    """The balance of a Self Assessment account."""

    total_overdue_balance: Decimal
    total_payable_balance: Decimal
    total_pending_balance: Decimal
    total_balance: Decimal
    total_credit_available: Decimal
    earliest_payable_due_date: date | None = None


class AccountCharge(RedactedStruct, frozen=True, kw_only=True, rename="camel"):
    """A charge, and its outstanding amount."""

    charge_id: str
    charge_type: str
    charge_amount: Decimal
    outstanding_amount: Decimal
    tax_year: str | None = None
    due_date: date | None = None
    creation_date: date | None = None


class AccountRefund(RedactedStruct, frozen=True, kw_only=True, rename="camel"):
    """A refund."""

    total_refund_amount: Decimal | None = None
    refund_request_amount: Decimal | None = None


class AccountPayment(RedactedStruct, frozen=True, kw_only=True, rename="camel"):
    """A payment."""

    payment_amount: Decimal
    payment_reference: str | None = None
    payment_date: date | None = None


class SelfAssessmentAccount(RedactedStruct, frozen=True, kw_only=True, rename="camel"):
    """A Self Assessment account, with HMRC's names for its parts."""

    balance_details: AccountBalance
    charge_details: tuple[AccountCharge, ...] = ()
    refund_details: tuple[AccountRefund, ...] = ()
    payment_history_details: tuple[AccountPayment, ...] = ()


class ConsentClient(Protocol):
    """HMRC's consent page, and its token endpoint for a person's consent.

    A failed call is an `Outage`.
    """

    def authorisation_url(self, state: str, challenge: str) -> str:
        """Return the address to which the person's browser is sent.

        The browser comes back with a code and with *state*. Only the caller that has the verifier
        of *challenge* can use the code (PKCE).
        """

    async def redeem(self, code: str, verifier: str, correlation_id: str | None) -> GrantedTokens:
        """Exchange *code*, which is consumed, for tokens.

        Raises:
            InvalidConsentCode: HMRC does not accept the code.
        """

    async def renew(self, refresh_token: str, correlation_id: str | None) -> GrantedTokens:
        """Exchange *refresh_token* for new tokens, which invalidates all older ones.

        Raises:
            ReconsentRequired: HMRC does not accept the refresh token.
        """


class TaxRecordClient(Protocol):
    """A person's tax records at HMRC. A failed call is an `Outage`."""

    async def fetch_summary(self, request: TaxRecordRequest, year: TaxYear) -> TaxYearSummary:
        """Return the summary of *year*.

        Raises:
            DataNotFound: HMRC has no data.
            AccessTokenRefused: the access token is not accepted any more.
            ReconsentRequired: the consent does not cover the request.
            ReferenceNotPermitted: the reference belongs to another person.
            InvalidTaxRequest: the reference or the year is malformed.
        """

    async def fetch_account(self, request: TaxRecordRequest, since: date) -> SelfAssessmentAccount:
        """Return the account with its entries since *since*.

        Raises:
            DataNotFound: HMRC has no data.
            AccessTokenRefused: the access token is not accepted any more.
            ReconsentRequired: the consent does not cover the request.
            ReferenceNotPermitted: the reference belongs to another person.
            InvalidTaxRequest: the reference or the day is malformed.
        """
