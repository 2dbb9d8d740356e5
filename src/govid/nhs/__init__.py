"""The NHS module: patient records, appointments and verification of NHS numbers.

This is its public API for the gateway: the module itself, its settings, the source of its part of a
data export, and the simulated NHS. Other modules are reached by events only.
"""

from typing import TYPE_CHECKING

from govid.bus.shared.lazy_imports import import_on_use

if TYPE_CHECKING:
    from govid.nhs.account_events import DataExportSource
    from govid.nhs.clients.factory import SIMULATED_PRACTICES
    from govid.nhs.module import build
    from govid.nhs.settings import NhsQuotas, NhsSettings, Practice
    from govid.nhs.simulator import (
        SIMULATED_ENDPOINT,
        SIMULATED_ODS,
        NhsSimulator,
        load_or_create_key,
    )
else:
    __getattr__ = import_on_use(
        __name__,
        {
            "account_events": ("DataExportSource",),
            "clients.factory": ("SIMULATED_PRACTICES",),
            "module": ("build",),
            "settings": (
                "NhsQuotas",
                "NhsSettings",
                "Practice",
            ),
            "simulator": (
                "NhsSimulator",
                "SIMULATED_ENDPOINT",
                "SIMULATED_ODS",
                "load_or_create_key",
            ),
        },
    )

__all__ = [
    "SIMULATED_ENDPOINT",
    "SIMULATED_ODS",
    "SIMULATED_PRACTICES",
    "DataExportSource",
    "NhsQuotas",
    "NhsSettings",
    "NhsSimulator",
    "Practice",
    "build",
    "load_or_create_key",
]
