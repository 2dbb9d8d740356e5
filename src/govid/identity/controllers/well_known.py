"""Well-known documents for verifiers of access tokens: the JWKS and the discovery document."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec

from govid.bus.shared.api import describe_response
from govid.identity import openapi_examples
from govid.identity.schemas import DiscoveryView
from govid.identity.settings import IdentitySettings

PUBLIC = "verifiers of access tokens need the public keys"


class WellKnownDocuments(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of the documents; `jwks` returns the current keys, the rest is constant."""

    jwks: Callable[[], bytes]
    max_age_seconds: int
    discovery: DiscoveryView

    @property
    def headers(self) -> dict[str, str]:
        """Cache headers: at most the time for which a key is published before it signs."""
        return {"Cache-Control": f"public, max-age={self.max_age_seconds}"}


@get(
    "/jwks.json",
    public=PUBLIC,
    summary="Get the keys that verify access tokens",
    description="The public keys (RFC 7517): the signing key, the next one and earlier ones.",
    media_type="application/json",
    responses={200: ResponseSpec(dict[str, Any], generate_examples=False)},
    sync_to_thread=False,
)
def jwks(documents: NamedDependency[WellKnownDocuments]) -> Response[bytes]:
    return Response(documents.jwks(), headers=documents.headers)


@get(
    "/openid-configuration",
    public=PUBLIC,
    summary="Get the issuer of the tokens and the location of the keys",
    description=(
        "For verifiers of access tokens (RFC 8414). govid is not a general OAuth server: it has "
        "no endpoints for other clients."
    ),
    sync_to_thread=False,
    responses={
        200: describe_response(DiscoveryView, "The metadata.", openapi_examples.DISCOVERIES)
    },
)
def openid_configuration(documents: NamedDependency[WellKnownDocuments]) -> Response[DiscoveryView]:
    return Response(documents.discovery, headers=documents.headers)


def well_known_router(settings: IdentitySettings, encode_jwks: Callable[[], bytes]) -> Router:
    """Return the routes; *encode_jwks* returns the current key set."""
    documents = WellKnownDocuments(
        jwks=encode_jwks,
        max_age_seconds=settings.jwks_max_age_seconds,
        discovery=DiscoveryView.for_issuer(settings.issuer, settings.algorithm),
    )
    return Router(
        "/.well-known",
        route_handlers=[jwks, openid_configuration],
        dependencies={"documents": Provide(lambda: documents, sync_to_thread=False)},
        tags=["machine pages"],
    )
