"""Builds the errors of the token endpoint and the consent page, in the format of OAuth."""

from http import HTTPStatus

from litestar import Response

from govid.hmrc.simulator.errors import json_response


class OAuthError(Exception):
    """An OAuth error response."""

    def __init__(
        self,
        error: str,
        description: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
    ) -> None:
        """Respond with the OAuth *error*, a fixed code, and its *description*, free text."""
        self.status = status
        self.content = {"error": error, "error_description": description}
        super().__init__(error)

    @property
    def response(self) -> Response[bytes]:
        """The response."""
        return json_response(self.content, self.status)
