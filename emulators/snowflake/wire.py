"""A result as Snowflake's connectors read it from the wire.

fakesnow's own encoder turns a NULL timestamp into 1970; this one keeps it.
"""

from base64 import b64encode
from typing import Any

import pyarrow as pa
from fakesnow.arrow import timestamp_to_sf_struct, to_ipc, to_sf, to_sf_schema

from emulators.snowflake.results import Result


def _timestamps(values: pa.ChunkedArray) -> pa.Array:
    packed = timestamp_to_sf_struct(values.fill_null(0))
    fields = [packed.type.field(place) for place in range(packed.type.num_fields)]
    mask = values.combine_chunks().is_null() if values.null_count else None
    return pa.StructArray.from_arrays(packed.flatten(), fields=fields, mask=mask)


def encoded(result: Result) -> dict[str, Any]:
    """The part of an answer that holds the rows: JSON if they were written by hand, else Arrow in base 64."""
    if result.table is None:
        return {"queryResultFormat": "json", "rowset": result.rows}
    table = result.table
    places = [place for place, column in enumerate(table.columns) if pa.types.is_timestamp(column.type)]
    arrays = {place: _timestamps(table.column(place)) for place in places}
    for place in places:
        name = table.schema.field(place).name
        table = table.set_column(place, name, pa.nulls(table.num_rows))
    ready = to_sf(table, result.rowtype)
    columns = [arrays.get(place, ready.column(place)) for place in range(table.num_columns)]
    fields = [pa.field(column["name"], arrays[place].type if place in arrays else ready.column(place).type)
              for place, column in enumerate(result.rowtype)]  # fmt: skip
    schema = to_sf_schema(pa.schema(fields), result.rowtype)
    return {
        "queryResultFormat": "arrow",
        "rowsetBase64": b64encode(to_ipc(pa.table(columns, schema=schema))).decode(),
    }
