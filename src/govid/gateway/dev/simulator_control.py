"""Routes that control simulated departments while they run: add people, inject faults.

    GET /simulator                 ["hmrc", "nhs"]
    PUT /simulator/nhs/fault       503:0.2          every fifth call fails; an empty body ends it
    PUT /simulator/nhs/people      {"number": "9990000018", "family": "Newman", ...}

Only under `govid dev` and `govid simulators`: a caller of these routes decides who is verified.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from litestar import Request, Router, get, put
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath

from govid.bus.upstream.simulation import FaultInjector

PUBLIC = "simulated departments may be controlled by everyone who can reach them"


class SimulatorControl(Protocol):
    """A simulated department that can be controlled while it runs."""

    faults: FaultInjector

    def add_person(self, person: bytes) -> None:
        """Add a person, given as JSON.

        Raises:
            msgspec.DecodeError: the JSON does not describe a person.
        """


def build_simulator_router(simulators: Mapping[str, SimulatorControl]) -> Router:
    """Return the routes that control *simulators*, given by department."""

    @get("/", sync_to_thread=False)
    def departments() -> list[str]:
        return sorted(simulators)

    @put("/{department:str}/fault", status_code=204)
    async def fault(department: FromPath[str], request: Request[Any, Any, Any]) -> None:
        simulator = _find(department)
        try:
            simulator.faults.set_fault((await request.body()).decode().strip())
        except ValueError as error:
            raise _bad_request("no such fault") from error

    @put("/{department:str}/people", status_code=204)
    async def people(department: FromPath[str], request: Request[Any, Any, Any]) -> None:
        simulator = _find(department)
        try:
            simulator.add_person(await request.body())
        except msgspec.DecodeError:
            # Without the cause, which may quote the body (I9).
            raise _bad_request("no such person") from None

    def _find(department: str) -> SimulatorControl:
        simulator = simulators.get(department)
        if simulator is None:
            raise NotFoundException
        return simulator

    return Router(
        "/simulator",
        route_handlers=[departments, fault, people],
        opt={"public": PUBLIC},
        include_in_schema=False,
    )


def _bad_request(detail: str) -> HTTPException:
    return HTTPException(detail, status_code=int(HTTPStatus.BAD_REQUEST))
