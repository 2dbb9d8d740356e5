"""Simulated NHS: an ASGI application with the NHS's token endpoint, PDS and BaRS interfaces.

It imports neither the clients nor the use cases of the NHS module.

Sources: NHSDigital/identity-service-api and NHSDigital/personal-demographics-service-api (their
specifications, mocks and end-to-end tests).
"""

from govid.nhs.simulator.app import BASE_URL, NhsSimulator
from govid.nhs.simulator.diary import SERVICES, SIMULATED_ENDPOINT, SIMULATED_ODS
from govid.nhs.simulator.oauth import ClientKey, load_or_create_key

__all__ = [
    "BASE_URL",
    "SERVICES",
    "SIMULATED_ENDPOINT",
    "SIMULATED_ODS",
    "ClientKey",
    "NhsSimulator",
    "load_or_create_key",
]
