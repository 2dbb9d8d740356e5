"""The NHS module: patient records, appointments and verification of NHS numbers.

This is its public API for the gateway: the module itself, its settings, the source of its part of a
data export, and the simulated NHS. Other modules are reached by events only.
"""

from typing import TYPE_CHECKING

from govid.bus.shared.lazy_imports import import_on_use

if TYPE_CHECKING:
    from govid.nhs.export import Records
    from govid.nhs.module import build
    from govid.nhs.ports import SIMULATED
    from govid.nhs.settings import NhsQuotas, NhsSettings, Practice
    from govid.nhs.simulator import ENDPOINT, ODS, NhsSimulator, kept_key
else:
    __getattr__ = import_on_use(
        __name__,
        {
            "export": ("Records",),
            "module": ("build",),
            "ports": ("SIMULATED",),
            "settings": ("NhsQuotas", "NhsSettings", "Practice"),
            "simulator": ("ENDPOINT", "ODS", "NhsSimulator", "kept_key"),
        },
    )

__all__ = [
    "ENDPOINT",
    "ODS",
    "SIMULATED",
    "NhsQuotas",
    "NhsSettings",
    "NhsSimulator",
    "Practice",
    "Records",
    "build",
    "kept_key",
]
