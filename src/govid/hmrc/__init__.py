"""HMRC: tax records, notices of death, and who holds a National Insurance number."""

from govid.hmrc.export import Records
from govid.hmrc.module import build
from govid.hmrc.settings import HmrcSettings

__all__ = ["HmrcSettings", "Records", "build"]
