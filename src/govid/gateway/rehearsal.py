"""What a rehearsal changes of simulated departments while they run: who is known, what goes wrong.

    GET /simulator                 ["hmrc", "nhs"]
    PUT /simulator/nhs/fault       503:0.2          every fifth call; an empty body ends it
    PUT /simulator/nhs/people      {"number": "9990000018", "family": "Newman", ...}

Only under `govid dev` and `govid simulators`: who can do this decides who is verified.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from litestar import Request, Router, get, put
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath

from govid.bus.simulation import Faults

PUBLIC = "a rehearsal's departments are for whoever rehearses"


class Simulator(Protocol):
    """A simulated department."""

    faults: Faults

    def learn(self, person: bytes) -> None:
        """Know one more person, who comes as JSON.

        Raises:
            msgspec.DecodeError: it describes nobody.
        """


def router(simulators: Mapping[str, Simulator]) -> Router:
    """Return the routes that change *simulators*, which are known by their departments."""

    @get("/", sync_to_thread=False)
    def departments() -> list[str]:
        return sorted(simulators)

    @put("/{department:str}/fault", status_code=204)
    async def fault(department: FromPath[str], request: Request[Any, Any, Any]) -> None:
        simulator = _known(department)
        try:
            simulator.faults.set((await request.body()).decode().strip())
        except ValueError as error:
            raise _refused("no such fault") from error

    @put("/{department:str}/people", status_code=204)
    async def people(department: FromPath[str], request: Request[Any, Any, Any]) -> None:
        simulator = _known(department)
        try:
            simulator.learn(await request.body())
        except msgspec.DecodeError:
            # Without the cause, which may quote the body (I9).
            raise _refused("no such person") from None

    def _known(department: str) -> Simulator:
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


def _refused(detail: str) -> HTTPException:
    return HTTPException(detail, status_code=int(HTTPStatus.BAD_REQUEST))
