"""What the NHS module can be told."""

from typing import Literal

import msgspec


class NhsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the NHS module.

    `accept_prototype_form` lets `NHS` and nine digits pass as an NHS number. Only a simulator knows
    that form.
    """

    registry: Literal["simulator", "off"]
    accept_prototype_form: bool
