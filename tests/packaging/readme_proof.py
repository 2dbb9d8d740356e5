"""Runs the commands of README's "Prove who used your data", and writes their output there.

`python -m tests.packaging.readme_proof` after a change of the tool or of the commands. A test runs
the same commands, and compares all but ids, times and numbers.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from tests.audit_entries import AUDIT_KEY
from tests.backends import postgres
from tests.http.client import NHS, Client
from tests.http.serving import demonstration, serving

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SECTION = re.compile(
    r"## Prove who used your data\n.*?\n```\n(?P<commands>.*?)```\n.*?"
    r"(?P<marker><!-- output of the commands above[^\n]*-->\n```\n)(?P<output>.*?)```\n",
    re.DOTALL,
)


def read_section(text: str) -> re.Match[str]:
    """Return the section of README's *text*."""
    found = SECTION.search(text)
    assert found is not None
    return found


def run_commands(database_url: str, folder: Path, commands: str) -> str:
    """Run *commands* in *folder* against a server on the database; return what they print."""
    settings = demonstration(database_url, folder, GOVID_PUBLIC_URL="http://127.0.0.1:8000")
    with serving(settings) as url:
        asyncio.run(_register(url))
        bin_folder = Path(sys.executable).parent
        script = (
            commands.replace("localhost:8000", url.removeprefix("http://"))
            .replace(".venv/bin/", f"{bin_folder}/")
            .replace("tools/", f"{ROOT}/tools/")
        )
        done = subprocess.run(
            ["bash", "-e", "-c", script],  # noqa: S607 - the shell of a reader
            cwd=folder,
            env={
                **os.environ,
                "GOVID_DATABASE_URL": database_url,
                "GOVID_AUDIT_KEY": AUDIT_KEY,
                "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 0, done.stdout
    return done.stdout


async def _register(url: str) -> None:
    """Register the account of README's earlier commands."""
    async with httpx.AsyncClient(base_url=url, timeout=20) as http:
        client = Client(http)
        await client.until_status(await client.citizen(NHS), "verified")


def main() -> None:
    """Write the output of the commands into README.md."""
    text = README.read_text("utf-8")
    section = read_section(text)
    with postgres.server() as server, tempfile.TemporaryDirectory() as folder:
        url = asyncio.run(postgres.clone(server, postgres.prepare_template(server)))
        output = run_commands(url, Path(folder), section["commands"])
    start, end = section.span("output")
    README.write_text(text[:start] + output + text[end:], "utf-8")


if __name__ == "__main__":
    main()
