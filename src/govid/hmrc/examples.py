"""Examples for the API's documents."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from litestar.openapi.spec import Example

from govid.hmrc import money
from govid.hmrc.schemas import TaxRecordView

FILE_TAX_RECORD: dict[str, Any] = {
    "name": "Ida Newton",
    "taxNumber": "1000057161",
    "taxYear": "2022-2023",
    "taxAmount": "1250.50",
}

_TAX_RECORD = TaxRecordView(
    id=UUID("019b8d3c-5ac0-7e1b-9f4e-2d6a8c0b1e43"),
    tax_id="T12345",
    name="Ida Newton",
    tax_number="1000057161",
    tax_year="2022-2023",
    tax_amount=money.write(Decimal("1250.50")),
)

TAX_RECORD_REQUESTS = [Example(id="tax-record", summary="A tax record", value=FILE_TAX_RECORD)]
TAX_RECORDS = [Example(id="tax-record", summary="As it is filed", value=_TAX_RECORD)]
TAX_RECORD_LISTS = [Example(id="tax-records", summary="All of yours", value=[_TAX_RECORD])]
