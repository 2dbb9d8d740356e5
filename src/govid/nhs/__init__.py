"""The NHS: patients, appointments, and who holds an NHS number."""

from govid.nhs.export import Records
from govid.nhs.module import build
from govid.nhs.settings import NhsSettings
from govid.nhs.simulator import NhsSimulator, kept_key

__all__ = ["NhsSettings", "NhsSimulator", "Records", "build", "kept_key"]
