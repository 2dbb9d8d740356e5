"""HMRC: tax records, notices of death, and who holds a National Insurance number."""

from govid.hmrc.export import Records
from govid.hmrc.module import build
from govid.hmrc.settings import Contract, HmrcSettings
from govid.hmrc.simulator import SCOPE, HmrcSimulator

__all__ = ["SCOPE", "Contract", "HmrcSettings", "HmrcSimulator", "Records", "build"]
