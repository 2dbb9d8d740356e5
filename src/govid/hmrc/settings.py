"""What the HMRC module can be told."""

from typing import Literal

import msgspec

Contract = Literal["pdv", "individuals-2", "individuals-1"]
"""By which of HMRC's matches numbers are verified; which one, is agreed with HMRC."""

Kind = Literal["remote", "simulator", "off"]
"""What stands at a port."""

Level = Literal["P1", "P2"]
"""How well somebody is known: by an identifier, or by name and date of birth as well."""

PAGES = "/dev/hmrc"
"""Where a browser finds the pages of an HMRC that is simulated in this process."""


class HmrcQuotas(msgspec.Struct, frozen=True, kw_only=True):
    """What one account may store and do; 0 is no limit."""

    tax_records: int = 0
    consents_per_hour: int = 0


class HmrcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the HMRC module.

    With a port at `remote`, `base_url`, `client_id` and `client_secret` are set. With
    `simulate_death`, one notice of the death of `simulate_death_nino`'s holder is given
    `simulate_death_delay_seconds` after the server is ready.
    """

    registry: Kind
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
    tax_records: Kind = "off"
    consent_url: str = ""
    """Below it, `/oauth/authorize` is where people consent."""
    redirect_uri: str = ""
    """Where HMRC sends their browsers back to: a page of the service that calls govid."""
    sealing_key: bytes = b""
    """Consents are stored encrypted under a key derived from it; needed for tax records."""
    old_sealing_keys: tuple[bytes, ...] = ()
    """Earlier ones, newest first: what they encrypted can still be read."""
    tax_min_level: Level = "P1"
    """How well somebody has to be known to see tax records."""
    are_limits_lifted: bool = False
    """Whether adapter and simulator leave HMRC's three calls a second alone."""
    may_be_simulated: bool = True
    """Whether an HMRC that confesses to be simulated is good enough."""
    simulator_fault: str = ""
    quotas: HmrcQuotas = HmrcQuotas()

    def __repr__(self) -> str:
        """Show nothing: there is a secret among them (I11)."""
        return "<HmrcSettings>"
