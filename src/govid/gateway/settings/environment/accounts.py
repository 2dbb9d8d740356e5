"""Environment variables of email links and of identifier claims."""

from pydantic import BaseModel

from govid.gateway.settings.environment.naming import setting_field


class AccountVariables(BaseModel):
    """Variables of email links and identifier claims."""

    reset_link_seconds: int = setting_field(
        900,
        "GOVID_RESET_LINK_SECONDS",
        doc="Lifetime of a link to set a new password, in seconds",
        ge=60,
        le=3600,
    )
    confirmation_link_seconds: int = setting_field(
        86_400,
        "GOVID_CONFIRMATION_LINK_SECONDS",
        doc="Lifetime of a link to confirm an email address, in seconds",
        ge=3600,
        le=604_800,
    )
    claim_days: int = setting_field(
        14,
        "GOVID_CLAIM_DAYS",
        doc="Days after which an unverified account loses its identifier",
        ge=1,
    )
    closed_identifier_days: int = setting_field(
        30,
        "GOVID_CLOSED_IDENTIFIER_DAYS",
        doc="Days during which the identifier of a closed account cannot be registered",
        ge=0,
    )
