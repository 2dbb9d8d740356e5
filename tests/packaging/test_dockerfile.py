"""The image is production's: pinned, unprivileged, watched, without development's packages."""

import re
from pathlib import Path

import pytest

DOCKERFILE = (Path(__file__).parents[2] / "Dockerfile").read_text("utf-8")
BASES = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
DIGEST = "${BASE_DIGEST:+@}${BASE_DIGEST}"
FINAL_STAGE = DOCKERFILE.rpartition("\nFROM ")[2]


@pytest.mark.parametrize("base", BASES)
def test_f6_every_base_image_is_pinned_to_a_patch_release_and_a_digest(base: str) -> None:
    name, argument = base[: -len(DIGEST)], base[-len(DIGEST) :]
    assert re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+-[a-z-]+", name)
    assert argument == DIGEST


def test_it_is_built_in_two_stages_of_one_image() -> None:
    assert len(BASES) == 2
    assert len(set(BASES)) == 1


def test_f6_it_installs_the_pinned_packages_without_the_dev_extra() -> None:
    installs = re.findall(r"pip install (.+?)(?: \\)?$", DOCKERFILE, re.MULTILINE)
    assert installs == [
        "--require-hashes --requirement requirements.lock",
        "--require-hashes --requirement requirements-build.lock",
        "--no-deps --no-index /dist/*.whl",
    ]
    assert "[dev]" not in DOCKERFILE


def test_the_readme_installs_the_same_packages_by_hash() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    production = readme.partition("\n## To production\n")[2].partition("\n## ")[0]
    assert re.findall(r"pip (?:install|wheel) (.+)", production) == [
        "--require-hashes -r requirements-build.lock",
        "--no-deps --no-build-isolation --wheel-dir dist .",
        "--require-hashes -r requirements.lock",
        "--no-deps --no-index dist/*.whl",
    ]


def test_it_runs_as_an_unprivileged_user() -> None:
    assert re.findall(r"^USER (\S+)", FINAL_STAGE, re.MULTILINE) == ["10001:10001"]


def test_it_serves_and_is_asked_whether_it_lives() -> None:
    assert 'ENTRYPOINT ["govid"]\nCMD ["serve"]' in FINAL_STAGE
    assert "/health/live" in FINAL_STAGE
