"""How long a link in a mail is good, and an identifier is held for an account."""

from pydantic import BaseModel

from govid.gateway.settings.environment.naming import named


class Accounts(BaseModel):
    """Settings of what belongs to an account."""

    reset_link_seconds: int = named(
        900,
        "GOVID_RESET_LINK_SECONDS",
        doc="Life of a link to set a new password",
        ge=60,
        le=3600,
    )
    confirmation_link_seconds: int = named(
        86_400,
        "GOVID_CONFIRMATION_LINK_SECONDS",
        doc="Life of a link to confirm an email address",
        ge=3600,
        le=604_800,
    )
    claim_days: int = named(
        14,
        "GOVID_CLAIM_DAYS",
        doc="After so many days an account that is not verified gives its identifier back",
        ge=1,
    )
    closed_identifier_days: int = named(
        30,
        "GOVID_CLOSED_IDENTIFIER_DAYS",
        doc="For so many days nobody can register the identifier of a closed account",
        ge=0,
    )
