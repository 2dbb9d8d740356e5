"""Tax records, consent to read them, and verification of National Insurance numbers.

Not inside: accounts and their status, which belong to the identity module.
"""

from typing import TYPE_CHECKING

from govid.bus.shared.lazy_imports import import_on_use

if TYPE_CHECKING:
    from govid.bus.shared.assurance import IdentityAssurance
    from govid.hmrc.data_rights import DataExportSource
    from govid.hmrc.module import build
    from govid.hmrc.repository.consents import encrypted_columns
    from govid.hmrc.settings import (
        SIMULATOR_PAGES_PATH,
        HmrcQuotas,
        HmrcSettings,
        MatchingContract,
    )
    from govid.hmrc.simulator import SCOPE, HmrcSimulator
else:
    __getattr__ = import_on_use(
        __name__,
        {
            "data_rights": ("DataExportSource",),
            "module": ("build",),
            "repository.consents": ("encrypted_columns",),
            "settings": (
                "HmrcQuotas",
                "HmrcSettings",
                "IdentityAssurance",
                "MatchingContract",
                "SIMULATOR_PAGES_PATH",
            ),
            "simulator": (
                "HmrcSimulator",
                "SCOPE",
            ),
        },
    )

__all__ = [
    "SCOPE",
    "SIMULATOR_PAGES_PATH",
    "DataExportSource",
    "HmrcQuotas",
    "HmrcSettings",
    "HmrcSimulator",
    "IdentityAssurance",
    "MatchingContract",
    "build",
    "encrypted_columns",
]
