"""Environment variables of rate limits and lockout."""

from pydantic import BaseModel

from govid.gateway.settings.environment.lists import NetworkList
from govid.gateway.settings.environment.naming import setting_field


class RateLimitVariables(BaseModel):
    """Variables of rate limits and lockout."""

    login_failures: int = setting_field(
        6,
        "GOVID_LOGIN_FAILURES",
        doc="Consecutive failures after which sign-in to an account is locked for a time",
        ge=1,
    )
    login_lock_seconds: float = setting_field(
        900,
        "GOVID_LOGIN_LOCK_SECONDS",
        doc="Seconds of the first lockout; each further one within a day doubles, up to a day",
        gt=0,
        allow_inf_nan=False,
    )
    login_lock_max_seconds: float = setting_field(
        7200,
        "GOVID_LOGIN_LOCK_MAX_SECONDS",
        doc="Maximum seconds of a lockout, up to a day",
        gt=0,
        allow_inf_nan=False,
    )
    address_failures: int = setting_field(
        100,
        "GOVID_ADDRESS_FAILURES",
        doc="Failures in 15 minutes after which an address (IPv6: its /64) has to wait; 0 is off",
        ge=0,
    )
    registrations_per_hour: int | None = setting_field(
        None,
        "GOVID_REGISTRATIONS_PER_HOUR",
        doc="Registrations per address and hour; 0 is off (default: 30, 0 in `govid dev`)",
        ge=0,
    )
    duplicates_per_day: int | None = setting_field(
        None,
        "GOVID_DUPLICATES_PER_DAY",
        doc="Registrations per taken identifier and day; 0 is off (default: 10, 0 in `govid dev`)",
        ge=0,
    )
    trusted_callers: NetworkList = setting_field(
        (),
        "GOVID_TRUSTED_CALLERS",
        doc="Networks (CIDR) of back ends that register many people: JSON list or commas",
    )
