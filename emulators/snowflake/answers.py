"""The bodies of answers."""

from typing import Any

from emulators.snowflake.results import Result
from emulators.snowflake.session import Session
from emulators.snowflake.wire import encoded

Answer = dict[str, Any]


def failure(code: str, message: str, sqlstate: str = "", query_id: str = "") -> Answer:
    """Say that a statement, or a login, failed."""
    data = {"errorCode": code, "sqlState": sqlstate, "queryId": query_id}
    return {"data": data, "code": code, "message": message, "success": False}


GONE = failure("390111", "Session no longer exists. New login required to access the service.", "08001")


def success(session: Session, result: Result, query_id: str) -> Answer:
    """Give a statement's result."""
    data: Answer = {
        "parameters": [{"name": "TIMEZONE", "value": session.parameters["TIMEZONE"]}],
        "rowtype": result.rowtype,
        "total": result.total,
        "returned": result.total,
        "queryId": query_id,
        "sqlState": "00000",
        "statementTypeId": result.type_id,
        "finalDatabaseName": session.connection.database,
        "finalSchemaName": session.connection.schema,
        "finalWarehouseName": session.warehouse,
        "finalRoleName": session.role,
    }
    data |= encoded(result)
    return {"data": data, "code": None, "message": None, "success": True}


def in_progress(query_id: str, code: str) -> Answer:
    """Say that a statement still runs, and where to ask again."""
    data = {"getResultUrl": f"/queries/{query_id}/result", "queryId": query_id, "progressDesc": None}
    return {"data": data, "code": code, "message": "Query execution in progress.", "success": True}
