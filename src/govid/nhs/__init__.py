"""The NHS: patients, appointments, and who holds an NHS number."""

from govid.nhs.export import Records
from govid.nhs.module import build
from govid.nhs.settings import NhsSettings

__all__ = ["NhsSettings", "Records", "build"]
