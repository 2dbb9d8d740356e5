"""Calls every operation of the document with generated input."""

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


class Fuzz:
    """One run against one server; the same each time."""

    def __init__(
        self, url: str, *, examples: int, sign_in: Callable[[], str] | None, noise: str
    ) -> None:
        """Send *examples* of each kind to each operation, and *noise* where nothing reads it.

        *sign_in* gives the token for an operation; each has one of its own, as some end sessions.
        """
        self._url = url
        self._examples = examples
        self._headers = {"X-Noise": noise, "User-Agent": noise, "Cookie": f"noise={noise}"}
        self._sign_in = sign_in
        self._noise = noise
        self._session = requests.Session()
        self.answers: list[str] = []
        """Status, headers and body of each."""
        self.statuses: Counter[tuple[str, int]] = Counter()

    def run(self) -> None:
        """Call everything.

        Raises:
            AssertionError: an answer is not what the document says.
        """
        document = requests.get(f"{self._url}/openapi.json", timeout=10).json()
        schema = schemathesis.openapi.from_dict(document)
        with self._session:
            for found in schema.get_all_operations():
                self._call(found.ok(), GenerationMode.POSITIVE)
                # What takes nothing cannot be given anything wrong.
                with contextlib.suppress(Unsatisfiable):
                    self._call(found.ok(), GenerationMode.NEGATIVE)

    def _call(self, operation: Any, mode: GenerationMode) -> None:
        if self._sign_in is not None:
            self._headers["Authorization"] = f"Bearer {self._sign_in()}"

        @settings(
            max_examples=self._examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def answered_as_described(case: Any) -> None:
            answer = case.call(
                base_url=self._url,
                session=self._session,
                headers=self._headers,
                params={"noise": self._noise},
                timeout=20,
            )
            self.statuses[f"{operation.method.upper()} {operation.path}", answer.status_code] += 1
            self.answers.append(f"{answer.status_code} {answer.headers} {answer.text}")
            case.validate_response(answer, checks=CHECKS)

        answered_as_described()
