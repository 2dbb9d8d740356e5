"""Tax records, consent to read them, and verification of National Insurance numbers.

Not inside: accounts and their status, which belong to the identity module.
"""

from typing import TYPE_CHECKING

from govid.bus.shared.lazy_imports import import_on_use

if TYPE_CHECKING:
    from govid.hmrc.export import DataExportSource
    from govid.hmrc.module import build
    from govid.hmrc.reencryption import encrypted_columns
    from govid.hmrc.settings import (
        SIMULATOR_PAGES_PATH,
        HmrcQuotas,
        HmrcSettings,
        IdentityAssurance,
        MatchingContract,
    )
    from govid.hmrc.simulator import SCOPE, HmrcSimulator
else:
    __getattr__ = import_on_use(
        __name__,
        {
            "export": ("DataExportSource",),
            "module": ("build",),
            "reencryption": ("encrypted_columns",),
            "settings": (
                "SIMULATOR_PAGES_PATH",
                "MatchingContract",
                "HmrcQuotas",
                "HmrcSettings",
                "IdentityAssurance",
            ),
            "simulator": ("LIABILITIES_SCOPE", "HmrcSimulator"),
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
