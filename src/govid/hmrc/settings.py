"""What the HMRC module can be told."""

from typing import Literal

import msgspec


class HmrcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the HMRC module.

    With `simulate_death`, one notice of the death of `simulate_death_nino`'s holder is given
    `simulate_death_delay_seconds` after the server is ready.
    """

    registry: Literal["simulator", "off"]
    simulate_death: bool
    simulate_death_delay_seconds: float
    simulate_death_nino: str
