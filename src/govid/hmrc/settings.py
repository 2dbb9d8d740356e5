"""What the HMRC module can be told."""

from typing import Literal

import msgspec

Contract = Literal["pdv", "individuals-2", "individuals-1"]
"""By which of HMRC's matches numbers are verified; which one, is agreed with HMRC."""


class HmrcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the HMRC module.

    With `registry` at `remote`, `base_url`, `client_id` and `client_secret` are set. With
    `simulate_death`, one notice of the death of `simulate_death_nino`'s holder is given
    `simulate_death_delay_seconds` after the server is ready.
    """

    registry: Literal["remote", "simulator", "off"]
    simulate_death: bool
    simulate_death_delay_seconds: float
    simulate_death_nino: str
    base_url: str = ""
    """The host of HMRC's APIs: `https://api.service.hmrc.gov.uk`."""
    client_id: str = ""
    client_secret: str = ""
    scope: str = ""
    contract: Contract = "pdv"
    pdv_path: str = "/individuals/authentication/authenticator/api/match"
    are_limits_lifted: bool = False
    """Whether adapter and simulator leave HMRC's three calls a second alone."""
    may_be_simulated: bool = True
    """Whether an HMRC that confesses to be simulated is good enough."""
    simulator_fault: str = ""

    def __repr__(self) -> str:
        """Show nothing: there is a secret among them (I11)."""
        return "<HmrcSettings>"
