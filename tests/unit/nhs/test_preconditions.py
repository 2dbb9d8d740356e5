"""Which version `If-Match` names, also behind a proxy that compresses."""

import pytest

from govid.nhs.appointments import Precondition
from govid.nhs.errors import AppointmentHasChanged


@pytest.mark.parametrize(
    "header",
    [
        '"2"',
        'W/"2"',
        '"2-gzip"',
        'W/"2-gzip"',
        '"2-br"',
        '"2;gzip"',
        '"1", "2-deflate"',
        ' W/"2" , "7"',
        "*",
    ],
)
def test_d11_a_tag_that_a_proxy_changed_names_the_same_version(header: str) -> None:
    Precondition.from_header(header).require_version(2)


@pytest.mark.parametrize(
    "header",
    ['"1"', 'W/"1"', '"1-gzip"', '"22"', '"2-x"', '"-gzip"', "2", 'w/"2"', '"2', 'W/W/"2"', '"²"'],
)
def test_d11_another_version_is_another_version(header: str) -> None:
    with pytest.raises(AppointmentHasChanged):
        Precondition.from_header(header).require_version(2)
