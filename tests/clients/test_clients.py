"""F2: linters accept the API's description, and generated clients make the five example calls.

Needs Node.js, Java, Maven and the registries of their packages; where one is missing, the tests are
skipped, and fail under `GOVID_CI=1`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from govid.gateway.settings import Settings
from tests.http.serving import demonstration, serving

HERE = Path(__file__).parent
GENERATOR = "org.openapitools:openapi-generator-cli:7.17.0"
MADE = "test.nin@example.com 0"
"""What each client prints: whose profile it read, and how many patient records it was shown."""

pytestmark = pytest.mark.timeout(600)


def run(*command: str, cwd: Path) -> str:
    """Run *command* and return what it prints; its whole output explains a failure."""
    ended = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=500, check=False
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    return ended.stdout.strip()


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    missing = [tool for tool in ("npm", "npx", "java", "mvn") if shutil.which(tool) is None]
    if missing and os.environ.get("GOVID_CI"):
        pytest.fail(f"{', '.join(missing)} not found")
    if missing:
        pytest.skip(f"{', '.join(missing)} not found")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the pinned packages of Node.js."""
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", ".npmrc", "spectral.yaml", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    run("npm", "ci", "--ignore-scripts", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return openapi-generator."""
    folder = tmp_path_factory.mktemp("generator")
    copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
    run(
        "mvn",
        "-q",
        "-B",
        copy,
        f"-Dartifact={GENERATOR}",
        f"-DoutputDirectory={folder}",
        cwd=folder,
    )
    return next(folder.glob("*.jar"))


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return demonstration(database_url, tmp_path)


@pytest.fixture
def server(settings: Settings) -> Iterator[str]:
    with serving(settings) as url:
        yield url


@pytest.fixture
def document(server: str, tmp_path: Path) -> Path:
    """Return the file that holds the description of a running server."""
    file = tmp_path / "openapi.json"
    file.write_bytes(httpx.get(f"{server}/openapi.json").content)
    return file


def test_f2_redocly_finds_no_error(node: Path, document: Path) -> None:
    run("npx", "--no-install", "redocly", "lint", str(document), cwd=node)


def test_f2_spectral_finds_no_error(node: Path, document: Path) -> None:
    run("npx", "--no-install", "spectral", "lint", str(document), "-r", "spectral.yaml", cwd=node)


def test_f2_openapi_generator_finds_no_error(
    generator: Path, document: Path, tmp_path: Path
) -> None:
    run("java", "-jar", str(generator), "validate", "-i", str(document), cwd=tmp_path)


def test_f2_a_typescript_client_makes_the_example_calls(
    node: Path, document: Path, server: str
) -> None:
    shutil.copy(HERE / "examples/examples.ts", node)
    run("npx", "--no-install", "openapi-typescript", str(document), "-o", "schema.d.ts", cwd=node)
    run("npx", "--no-install", "tsc", cwd=node)
    assert run("node", "built/examples.js", server, cwd=node) == MADE


def test_f2_a_python_client_makes_the_example_calls(
    generator: Path, document: Path, server: str, tmp_path: Path
) -> None:
    made = tmp_path / "python"
    generate = ["java", "-jar", str(generator), "generate", "-g", "python"]
    run(*generate, "-i", str(document), "-o", str(made), cwd=tmp_path)
    shutil.copy(HERE / "examples/examples.py.txt", made / "examples.py")
    assert run(sys.executable, "examples.py", server, cwd=made) == MADE


def test_f2_a_java_client_makes_the_example_calls(
    generator: Path, document: Path, server: str, tmp_path: Path
) -> None:
    made = tmp_path / "java"
    generate = ["java", "-jar", str(generator), "generate", "-g", "java", "--library", "native"]
    run(*generate, "-i", str(document), "-o", str(made), cwd=tmp_path)
    shutil.copy(HERE / "examples/Examples.java", made / "src/main/java")
    build = ["mvn", "-q", "-B", "-Dmaven.test.skip=true", "compile", "dependency:build-classpath"]
    run(*build, "-Dmdep.outputFile=classpath.txt", cwd=made)
    classes = f"target/classes:{(made / 'classpath.txt').read_text('utf-8').strip()}"
    assert run("java", "-cp", classes, "Examples", server, cwd=made) == MADE
