"""What govid asks of HMRC about a person's tax, with that person's consent."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Protocol

import msgspec

from govid.hmrc.tax_year import TaxYear


class ReconsentRequired(Exception):
    """The consent has ended, was withdrawn at HMRC, or does not reach far enough."""


class CodeNotGood(Exception):
    """HMRC does not take the code that a browser brought back."""


class TokenRefused(Exception):
    """The access token is good no longer; a renewed one may be."""


class NotPermitted(Exception):
    """The reference is not that of the person who consented."""


class NoData(Exception):
    """HMRC has nothing about that time, which is not the same as nothing paid."""


class NotAskable(Exception):
    """HMRC takes the reference, the year or the day for malformed."""


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens for one person: one opens their records, the other gets both anew, once."""

    access_token: str
    refresh_token: str
    life_seconds: float

    def __repr__(self) -> str:
        """Show nothing (I9)."""
        return "<Granted>"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Whose records are read, and what opens them."""

    utr: str
    access_token: str
    correlation_id: str | None = None

    def __repr__(self) -> str:
        """Show nothing (I9)."""
        return "<Reading>"


class Employment(msgspec.Struct, frozen=True, kw_only=True):
    """What HMRC knows of one employment in a year; None is what it did not say."""

    paye_reference: str
    employer: str | None = None
    is_off_payroll: bool | None = None
    pay: Decimal | None = None
    tax: Decimal | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Employment>"


class Benefits(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Pensions, annuities and benefits: what was received, or the tax that was taken off."""

    other_pensions_and_retirement_annuities: Decimal | None = None
    incapacity_benefit: Decimal | None = None
    jobseekers_allowance: Decimal | None = None
    seiss_net_paid: Decimal | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Benefits>"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A year, as far as HMRC knows it. None is no data, which is not zero."""

    employments: Sequence[Employment] | None = None
    received: Benefits | None = None
    taken_off: Benefits | None = None
    refunded: Decimal | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Summary>"


class Balance(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a Self Assessment account stands."""

    total_overdue_balance: Decimal
    total_payable_balance: Decimal
    total_pending_balance: Decimal
    total_balance: Decimal
    total_credit_available: Decimal
    earliest_payable_due_date: date | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Balance>"


class Charge(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is owed, and what of it still is."""

    charge_id: str
    charge_type: str
    charge_amount: Decimal
    outstanding_amount: Decimal
    tax_year: str | None = None
    due_date: date | None = None
    creation_date: date | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Charge>"


class Refund(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was paid back."""

    total_refund_amount: Decimal | None = None
    refund_request_amount: Decimal | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Refund>"


class Payment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was paid."""

    payment_amount: Decimal
    payment_reference: str | None = None
    payment_date: date | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Payment>"


class Account(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A Self Assessment account, under the names that HMRC gives its parts."""

    balance_details: Balance
    charge_details: tuple[Charge, ...] = ()
    refund_details: tuple[Refund, ...] = ()
    payment_history_details: tuple[Payment, ...] = ()

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Account>"


class ConsentDesk(Protocol):
    """Where a person consents, and where tokens come from.

    What goes wrong on the way is an `Outage`.
    """

    def page(self, state: str, challenge: str) -> str:
        """Return the address to which the person's browser is sent.

        It comes back with a code and with *state*; *challenge* is of whoever may use the code.
        """

    async def redeem(self, code: str, verifier: str, correlation_id: str | None) -> Granted:
        """Return the tokens for *code*, which is used up.

        Raises:
            CodeNotGood: there are none for it.
        """

    async def renew(self, refresh_token: str, correlation_id: str | None) -> Granted:
        """Return new tokens for *refresh_token*; with that, all older ones are dead.

        Raises:
            ReconsentRequired: there are none for it.
        """


class TaxRecords(Protocol):
    """A person's tax, as HMRC knows it. What goes wrong on the way is an `Outage`."""

    async def summary(self, of: Reading, year: TaxYear) -> Summary:
        """Return what HMRC knows of *year*.

        Raises:
            NoData: it knows nothing.
            TokenRefused: the token is good no longer.
            ReconsentRequired: the consent does not reach so far.
            NotPermitted: the reference is somebody else's.
            NotAskable: the reference or the year is malformed.
        """

    async def account(self, of: Reading, since: date) -> Account:
        """Return how the account stands and what has happened on it *since* then.

        Raises:
            NoData: as in `summary`, and so are the others.
        """
