"""A browser on HMRC's consent page, used by one person for one application."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.departments.hmrc.api_requests import MISSING, HmrcRequests

CALLBACK = "https://govid.example.com/consent"
VERIFIER = "v" * 43
IDA = "945350439195"
TAX = "read:individual-tax"


def challenge(verifier: str = VERIFIER) -> str:
    digest = sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


class ConsentBrowser:
    """Asks for consent and for the tokens that follow, valid but for what a test changes."""

    def __init__(self, asking: HmrcRequests) -> None:
        self.asking = asking
        self.http = asking.http
        self.url = f"{asking.target.url}/oauth/authorize"

    def question(self, **changes: object) -> dict[str, Any]:
        question = {
            "response_type": "code",
            "client_id": self.asking.target.client_id,
            "scope": f"{TAX} read:self-assessment",
            "state": "canary & state",
            "redirect_uri": CALLBACK,
            "code_challenge": challenge(),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in question.items() if value is not MISSING}

    async def page(self, **changes: object) -> httpx.Response:
        return await self.http.get(self.url, params=self.question(**changes))

    async def decide(self, decision: str = "grant", **changes: object) -> httpx.Response:
        form = {**self.question(**changes), "decision": decision, "user": IDA}
        return await self.http.post(self.url, data=form)

    async def code(self, **changes: object) -> str:
        return sent_back(await self.decide(**changes))["code"]

    async def exchange(self, code: str, **changes: object) -> httpx.Response:
        form: dict[str, Any] = {
            "grant_type": "authorization_code",
            "redirect_uri": CALLBACK,
            "code": code,
            "code_verifier": VERIFIER,
            **changes,
        }
        return await self.asking.token(**form)

    async def granted(self) -> Mapping[str, Any]:
        granted: Mapping[str, Any] = (await self.exchange(await self.code())).json()
        return granted

    async def refresh(self, refresh_token: str, **changes: Any) -> httpx.Response:
        return await self.asking.token(
            grant_type="refresh_token", refresh_token=refresh_token, **changes
        )


def sent_back(answer: httpx.Response) -> dict[str, str]:
    """Return what the browser brings back."""
    assert answer.status_code == 303, answer.text
    url = urlsplit(answer.headers["location"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == CALLBACK
    return {name: values[0] for name, values in parse_qs(url.query).items()}
