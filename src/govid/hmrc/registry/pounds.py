"""Decodes amounts of HMRC's responses exactly: JSON numbers, never read as binary fractions."""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from govid.bus.upstream import UnusableResponse, UpstreamResponse

ONE_PENNY = Decimal("0.01")
LARGEST_AMOUNT = Decimal("9999999999999.99")


def decode_exact_amounts(answer: UpstreamResponse, shape: Any) -> Any:
    """Decode the body of *answer* as *shape*, in which every amount is in whole pence.

    Raises:
        UnusableResponse: the body has another shape.
    """
    read = answer.decode(shape)
    if not all(map(_is_exact, _amounts(read))):
        raise UnusableResponse(answer.department, "amount")
    return read


def _is_exact(amount: Decimal) -> bool:
    try:
        return abs(amount) <= LARGEST_AMOUNT and amount == amount.quantize(ONE_PENNY)
    except InvalidOperation:
        return False


def _amounts(value: Any) -> list[Decimal]:
    match value:
        case Decimal():
            return [value]
        case msgspec.Struct():
            return [
                one for name in value.__struct_fields__ for one in _amounts(getattr(value, name))
            ]
        case list() | tuple():
            return [one for item in value for one in _amounts(item)]
        case _:
            return []
