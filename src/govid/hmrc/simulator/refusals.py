"""How the token endpoint and the page of consent refuse: in OAuth's form, not the platform's."""

from http import HTTPStatus

from litestar import Response

from govid.hmrc.simulator.errors import json_response


class Refusal(Exception):
    """OAuth says no."""

    def __init__(
        self,
        error: str,
        description: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
    ) -> None:
        """Answer with the OAuth *error*, which is fixed, and its *description*, which is not."""
        self.status = status
        self.content = {"error": error, "error_description": description}
        super().__init__(error)

    @property
    def response(self) -> Response[bytes]:
        """The answer."""
        return json_response(self.content, self.status)
