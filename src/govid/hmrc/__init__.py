"""HMRC: tax records, notices of death, and who holds a National Insurance number."""

from govid.hmrc.export import Records
from govid.hmrc.module import PAGES, build
from govid.hmrc.reencryption import encrypted_columns
from govid.hmrc.settings import Contract, HmrcQuotas, HmrcSettings, Level
from govid.hmrc.simulator import SCOPE, HmrcSimulator

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
