"""Converts HMRC's answers to the views that clients receive."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Raw

from govid.hmrc.clients.interfaces import (
    EmploymentSummary,
    SelfAssessmentAccount,
    StateBenefits,
    TaxYearSummary,
)
from govid.hmrc.schemas import (
    BalanceView,
    BenefitsView,
    BenefitTaxesView,
    ChargeView,
    EmploymentView,
    PaidBackView,
    PaymentView,
    PensionsView,
    RefundsView,
    TaxAccountView,
    TaxSummaryView,
)
from govid.hmrc.tax_values import NO_DATA, TaxYear, format_amount


def summary_view(year: TaxYear, found: TaxYearSummary) -> TaxSummaryView:
    """Return the view of the summary *found* for *year*."""
    refunded = found.refunded
    return TaxSummaryView(
        tax_year=year.short,
        employments=_employments(found.employments),
        pensions=PensionsView(
            received=_received(found.received), tax_taken_off=_taken_off(found.taken_off)
        ),
        refunds=None
        if refunded is None
        else RefundsView(tax_refunded_or_set_off=format_amount(refunded)),
    )


def account_view(found: SelfAssessmentAccount) -> TaxAccountView:
    """Return the view of the Self Assessment account *found*."""
    balance = found.balance_details
    return TaxAccountView(
        balance=BalanceView(
            total_overdue=format_amount(balance.total_overdue_balance),
            total_payable=format_amount(balance.total_payable_balance),
            total_pending=format_amount(balance.total_pending_balance),
            total=format_amount(balance.total_balance),
            credit_available=format_amount(balance.total_credit_available),
            earliest_payable_due_date=balance.earliest_payable_due_date,
        ),
        charges=[
            ChargeView(
                charge_id=one.charge_id,
                charge_type=one.charge_type,
                amount=format_amount(one.charge_amount),
                outstanding=format_amount(one.outstanding_amount),
                tax_year=_short_year(one.tax_year),
                due_date=one.due_date,
            )
            for one in found.charge_details
        ],
        refunds=[
            PaidBackView(
                amount=_amount(one.total_refund_amount),
                requested=_amount(one.refund_request_amount),
            )
            for one in found.refund_details
        ],
        payments=[
            PaymentView(
                amount=format_amount(one.payment_amount),
                reference=one.payment_reference,
                paid_on=one.payment_date,
            )
            for one in found.payment_history_details
        ],
    )


def _employments(found: Sequence[EmploymentSummary] | None) -> Sequence[EmploymentView] | None:
    if found is None:
        return None
    return [
        EmploymentView(
            employer_paye_reference=one.paye_reference,
            employer_name=one.employer,
            off_payroll_work=one.is_off_payroll,
            pay_from_employment=_amount(one.pay),
            tax_taken_off_pay=_amount(one.tax),
        )
        for one in found
    ]


def _received(found: StateBenefits | None) -> BenefitsView | None:
    if found is None:
        return None
    return BenefitsView(
        other_pensions_and_retirement_annuities=_amount(
            found.other_pensions_and_retirement_annuities
        ),
        incapacity_benefit=_amount(found.incapacity_benefit),
        jobseekers_allowance=_amount(found.jobseekers_allowance),
        seiss_net_paid=_amount(found.seiss_net_paid),
    )


def _taken_off(found: StateBenefits | None) -> BenefitTaxesView | None:
    if found is None:
        return None
    return BenefitTaxesView(
        other_pensions_and_retirement_annuities=_amount(
            found.other_pensions_and_retirement_annuities
        ),
        incapacity_benefit=_amount(found.incapacity_benefit),
    )


def _short_year(year: str | None) -> str | None:
    """Return *year* in the short form; text that is no tax year is returned unchanged."""
    try:
        return None if year is None else TaxYear.parse(year).short
    except ValueError:
        return year


def _amount(found: Decimal | None) -> Raw:
    return NO_DATA if found is None else format_amount(found)
