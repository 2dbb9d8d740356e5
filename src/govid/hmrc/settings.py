"""Defines the settings of the HMRC module."""

from typing import Literal

import msgspec

from govid.bus.shared.assurance import IdentityAssurance
from govid.bus.shared.privacy import RedactedStruct

MatchingContract = Literal["pdv", "individuals-2", "individuals-1"]
"""The matching API that verifies numbers, as agreed with HMRC."""

ClientKind = Literal["remote", "simulator", "off"]
"""The kind of HMRC that a client connects to."""

SIMULATOR_PAGES_PATH = "/dev/hmrc"
"""The path of the web pages of an HMRC that is simulated in this process."""


class HmrcQuotas(msgspec.Struct, frozen=True, kw_only=True):
    """Quotas of one account; 0 is no limit."""

    tax_records: int = 0
    consents_per_hour: int = 0


class HmrcSettings(RedactedStruct, frozen=True, kw_only=True):
    """Settings of the HMRC module.

    If a client is `remote`, `base_url`, `client_id` and `client_secret` are set. With
    `simulate_death`, one death notice for `simulate_death_nino` is published
    `simulate_death_delay_seconds` after the server is ready.
    """

    registry: ClientKind
    simulate_death: bool
    simulate_death_delay_seconds: float
    simulate_death_nino: str
    base_url: str = ""
    """The host of HMRC's APIs: `https://api.service.hmrc.gov.uk`."""
    client_id: str = ""
    client_secret: str = ""
    scope: str = ""
    contract: MatchingContract = "pdv"
    pdv_path: str = "/individuals/authentication/authenticator/api/match"
    tax_records: ClientKind = "off"
    consent_url: str = ""
    """The base address of the consent page, which is at `/oauth/authorize` below it."""
    redirect_uri: str = ""
    """Where HMRC sends the browser back to: a page of the service that calls govid."""
    encryption_key: bytes = b""
    """The key from which the key of stored consents is derived; required for tax records."""
    old_encryption_keys: tuple[bytes, ...] = ()
    """Earlier keys, newest first: values that they encrypted can still be read."""
    required_assurance: IdentityAssurance = "P1"
    """The identity assurance that tax records require."""
    are_limits_lifted: bool = False
    """Whether client and simulator ignore HMRC's rate limit of three calls a second."""
    may_be_simulated: bool = True
    """Whether responses that are marked as simulated are accepted."""
    simulator_fault: str = ""
    quotas: HmrcQuotas = HmrcQuotas()
