"""The NHS, simulated: an application that speaks as the NHS's own interfaces do.

Sources: NHSDigital/identity-service-api and NHSDigital/personal-demographics-service-api (their
specifications, mocks and end-to-end tests).
"""

from govid.nhs.simulator.app import BASE_URL, NhsSimulator
from govid.nhs.simulator.clients import ClientKey, kept_key
from govid.nhs.simulator.diary import ENDPOINT, ODS, SERVICES

__all__ = [
    "BASE_URL",
    "ENDPOINT",
    "ODS",
    "SERVICES",
    "ClientKey",
    "NhsSimulator",
    "kept_key",
]
