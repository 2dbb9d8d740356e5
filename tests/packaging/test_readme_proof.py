"""The README's proof works as it is printed."""

import asyncio
import re
from pathlib import Path

from tests.packaging.readme_proof import README, read_section, run_commands


def without_values(text: str) -> str:
    """Return *text* without what differs from run to run: ids, times and numbers."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9][0-9T:.Z-]*", "*", text)


async def test_r22_the_commands_of_the_readme_print_what_it_shows(
    database_url: str, tmp_path: Path
) -> None:
    section = read_section(README.read_text("utf-8"))
    output = await asyncio.to_thread(run_commands, database_url, tmp_path, section["commands"])
    assert without_values(output) == without_values(section["output"])
    assert "Nothing was taken back" in output
