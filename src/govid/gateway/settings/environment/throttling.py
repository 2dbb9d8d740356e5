"""How often somebody may try."""

from pydantic import BaseModel

from govid.gateway.settings.environment.lists import Networks
from govid.gateway.settings.environment.naming import named


class Throttling(BaseModel):
    """Settings of what is counted, and of locks."""

    login_failures: int = named(
        6, "GOVID_LOGIN_FAILURES", doc="Failures in a row that lock a sign-in for a time", ge=1
    )
    login_lock_seconds: float = named(
        900,
        "GOVID_LOGIN_LOCK_SECONDS",
        doc="How long the first lock lasts; each within a day lasts twice as long, up to a day",
        gt=0,
        allow_inf_nan=False,
    )
    login_lock_max_seconds: float = named(
        7200,
        "GOVID_LOGIN_LOCK_MAX_SECONDS",
        doc="How long a lock may last, up to a day",
        gt=0,
        allow_inf_nan=False,
    )
    address_failures: int = named(
        100,
        "GOVID_ADDRESS_FAILURES",
        doc="Failures in 15 minutes after which an address (IPv6: its /64) has to wait; 0 is off",
        ge=0,
    )
    registrations_per_hour: int | None = named(
        None,
        "GOVID_REGISTRATIONS_PER_HOUR",
        doc="Registrations from one address; 0 is off; without it 30, and off under `govid dev`",
        ge=0,
    )
    duplicates_per_day: int | None = named(
        None,
        "GOVID_DUPLICATES_PER_DAY",
        doc="Registrations of one taken identifier; 0 is off; without it 10, off in `govid dev`",
        ge=0,
    )
    trusted_callers: Networks = named(
        (),
        "GOVID_TRUSTED_CALLERS",
        doc="Networks (CIDR) of back ends that register for many people: JSON list or commas",
    )
