"""The pages by which others verify access tokens."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec

from govid.bus.routes import answer_of
from govid.identity import examples
from govid.identity.schemas import DiscoveryView
from govid.identity.settings import IdentitySettings

PUBLIC = "whoever checks our tokens needs the keys"


class Pages(msgspec.Struct, frozen=True, kw_only=True):
    """What the pages show; the keys change, the rest does not."""

    jwks: Callable[[], bytes]
    max_age_seconds: int
    discovery: DiscoveryView

    @property
    def headers(self) -> dict[str, str]:
        """How long others may keep a page: no longer than keys are published before they sign."""
        return {"Cache-Control": f"public, max-age={self.max_age_seconds}"}


@get(
    "/jwks.json",
    public=PUBLIC,
    summary="Publish the keys that verify access tokens",
    description="The public keys (RFC 7517): the one that signs, the next one, and those before.",
    media_type="application/json",
    responses={200: ResponseSpec(dict[str, Any], generate_examples=False)},
    sync_to_thread=False,
)
def jwks(pages: NamedDependency[Pages]) -> Response[bytes]:
    return Response(pages.jwks(), headers=pages.headers)


@get(
    "/openid-configuration",
    public=PUBLIC,
    summary="Say who issues the tokens, and where the keys are",
    description=(
        "For whoever verifies access tokens (RFC 8414). govid is no general OAuth server: there "
        "is no endpoint for other clients."
    ),
    sync_to_thread=False,
    responses={200: answer_of(DiscoveryView, "The facts.", examples.DISCOVERIES)},
)
def openid_configuration(pages: NamedDependency[Pages]) -> Response[DiscoveryView]:
    return Response(pages.discovery, headers=pages.headers)


def router(settings: IdentitySettings, keys: Callable[[], bytes]) -> Router:
    """Return the routes; *keys* returns the key set of this moment."""
    pages = Pages(
        jwks=keys,
        max_age_seconds=settings.jwks_max_age_seconds,
        discovery=DiscoveryView.of(settings.issuer, settings.algorithm),
    )
    dependencies: dict[str, Any] = {"pages": Provide(lambda: pages, sync_to_thread=False)}
    return Router(
        "/.well-known",
        route_handlers=[jwks, openid_configuration],
        dependencies=dependencies,
        tags=["machine pages"],
    )
