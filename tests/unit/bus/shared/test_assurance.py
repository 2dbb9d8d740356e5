"""A department refuses a principal whose identity assurance is too low, by its own error."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from govid.bus import GovidError, Principal
from govid.bus.shared.assurance import AccountIsBlocked, IdentityAssurance, require_assurance
from govid.hmrc.errors import StepUpRequired as HmrcStepUpRequired
from govid.nhs.errors import StepUpRequired as NhsStepUpRequired

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def principal(assurance: str) -> Principal:
    return Principal(
        account_id=UUID(int=1),
        session_id=UUID(int=2),
        email=None,
        identifier_type=None,
        identifier_value=None,
        phone_number=None,
        status="active",
        auth_provider="local",
        created_at=NOW,
        updated_at=NOW,
        assurance=assurance,
    )


@pytest.mark.parametrize(("held", "least"), [("P0", "P1"), ("P0", "P2"), ("P1", "P2")])
@pytest.mark.parametrize("refusal", [NhsStepUpRequired, HmrcStepUpRequired])
def test_a_lower_assurance_is_refused(
    held: str, least: IdentityAssurance, refusal: type[GovidError]
) -> None:
    with pytest.raises(refusal):
        require_assurance(principal(held), least, refusal)


@pytest.mark.parametrize(("held", "least"), [("P1", "P1"), ("P2", "P1"), ("P2", "P2")])
def test_an_equal_or_higher_assurance_is_accepted(held: str, least: IdentityAssurance) -> None:
    require_assurance(principal(held), least, NhsStepUpRequired)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (AccountIsBlocked, "account-blocked", "Account is blocked"),
        (
            NhsStepUpRequired,
            "step-up-required",
            "Booking at a practice requires a verified NHS number. Please verify yours first",
        ),
        (
            HmrcStepUpRequired,
            "step-up-required",
            "Tax records require a verified account. Please verify your identity first",
        ),
    ],
)
def test_codes_and_messages_of_the_refusals(
    error: type[GovidError], code: str, message: str
) -> None:
    assert (error.code, error().detail) == (code, message)
