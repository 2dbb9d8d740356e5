"""Many logins at once occupy the processor, not the event loop."""

import asyncio
from collections import Counter
from statistics import median

import msgspec

from govid.bus import Database
from govid.identity.credentials.password_hashing import MAX_WAITING
from govid.identity.errors import InvalidCredentials, LoginBusy
from govid.identity.settings import ThrottleSettings
from tests.integration.identity.conftest import PASSWORD, SETTINGS, build_identity

CROWD = 200
LATE_SECONDS = 0.3


async def lateness(until: "asyncio.Future[list[BaseException]]") -> list[float]:
    """Return by how much each turn of the loop was late that was asked for in ten milliseconds."""
    clock = asyncio.get_running_loop().time
    late = []
    while not until.done():
        due = clock() + 0.01
        await asyncio.sleep(0.01)
        late.append(clock() - due)
    return late


async def test_r1_two_hundred_sign_ins_leave_the_loop_to_others(database: Database) -> None:
    anybody = ThrottleSettings(address_failures=0)
    identity = await build_identity(database, msgspec.structs.replace(SETTINGS, throttle=anybody))
    # Each in a name of its own: those of one name would stand in line.
    crowd = asyncio.gather(
        *(identity.login(f"nobody{n}@example.com", PASSWORD) for n in range(CROWD)),
        return_exceptions=True,
    )
    late = await lateness(crowd)
    assert median(late) < LATE_SECONDS
    kinds = Counter(type(result) for result in await crowd)
    assert kinds[InvalidCredentials] + kinds[LoginBusy] == CROWD
    assert kinds[InvalidCredentials] >= MAX_WAITING
