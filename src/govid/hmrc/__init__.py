"""Tax records, consent to read them, and verification of National Insurance numbers.

Not inside: accounts and their status, which belong to the identity module.
"""

from typing import TYPE_CHECKING

from govid.bus.shared.lazy_imports import import_on_use

if TYPE_CHECKING:
    from govid.hmrc.export import Records
    from govid.hmrc.module import build
    from govid.hmrc.reencryption import encrypted_columns
    from govid.hmrc.settings import PAGES, Contract, HmrcQuotas, HmrcSettings, Level
    from govid.hmrc.simulator import SCOPE, HmrcSimulator
else:
    __getattr__ = import_on_use(
        __name__,
        {
            "export": ("Records",),
            "module": ("build",),
            "reencryption": ("encrypted_columns",),
            "settings": ("PAGES", "Contract", "HmrcQuotas", "HmrcSettings", "Level"),
            "simulator": ("SCOPE", "HmrcSimulator"),
        },
    )

__all__ = [
    "PAGES",
    "SCOPE",
    "Contract",
    "HmrcQuotas",
    "HmrcSettings",
    "HmrcSimulator",
    "Level",
    "Records",
    "build",
    "encrypted_columns",
]
