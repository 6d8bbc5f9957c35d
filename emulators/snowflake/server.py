"""The HTTP interface that Snowflake's connectors speak, over one account.

What a statement raises is answered as a SQL error with status 200: connectors retry an HTTP 500 for minutes.
A statement that takes long is answered with "in progress" and a place to ask again, as the service does; a
request that comes again under the same id gets the first one's answer.
"""

import asyncio
import gzip
import json
import logging
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fakesnow.converter import from_binding
from fakesnow.transforms import SERVER_VERSION
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.snowflake.account import Account, new_query_id
from emulators.snowflake.answers import GONE, Answer, failure, in_progress, success
from emulators.snowflake.errors import SessionGone, SqlError
from emulators.snowflake.login import KeyPair, log_in
from emulators.snowflake.protocol import CuttableProtocol
from emulators.snowflake.session import ConnectionLost, Session

_log = logging.getLogger(__name__)
_KEPT_ANSWERS = 16
_THREADS = 128


def _bindings(body: Answer) -> object:
    found = body.get("bindings")
    if not found:
        return None
    if not all(key.isdigit() for key in found):
        return {name: from_binding(one) for name, one in found.items()}
    return tuple(from_binding(found[str(place)]) for place in range(1, len(found) + 1))


class Service:
    """The routes. One for each account."""

    def __init__(
        self, account: Account, key_pair: KeyPair | None, answer_within_seconds: float = 45.0
    ) -> None:
        self.account = account
        self.key_pair = key_pair
        self.patience = answer_within_seconds
        self.pool = ThreadPoolExecutor(_THREADS, "snowflake-statement")
        self._running: OrderedDict[str, asyncio.Future[Answer | None]] = OrderedDict()
        self._query_of: OrderedDict[str, str] = OrderedDict()
        self.app = Starlette(
            routes=[
                Route("/session/v1/login-request", self._login, methods=["POST"]),
                Route("/session/token-request", self._renew, methods=["POST"]),
                Route("/session/heartbeat", self._heartbeat, methods=["POST"]),
                Route("/session", self._heartbeat, methods=["POST"]),
                Route("/queries/v1/query-request", self._query, methods=["POST"]),
                Route("/queries/v1/abort-request", self._abort, methods=["POST"]),
                Route("/queries/{query_id}/result", self._result, methods=["GET"]),
                Route("/monitoring/queries/{query_id}", self._monitor, methods=["GET"]),
                Route("/telemetry/send", self._ignore, methods=["POST"]),
            ]
        )

    def _session(self, request: Request) -> Session | None:
        token = request.headers.get("Authorization", "").removeprefix('Snowflake Token="').removesuffix('"')
        session = self.account.sessions.get(token)
        if session:
            session.seen()
        return session

    async def _login(self, request: Request) -> Response:
        body = await _body(request)
        place = {key: request.query_params.get(key, "") for key in _PLACES}
        try:
            session = await self._call(log_in, self.account, self.key_pair, body["data"], place)
        except SqlError as error:
            return JSONResponse(failure(f"{error.errno}", error.message, error.sqlstate))
        data = {
            "token": session.token,
            "masterToken": session.master_token,
            "validityInSeconds": 3600,
            "masterValidityInSeconds": 14400,
            "sessionId": session.id,
            "serverVersion": SERVER_VERSION,
            "parameters": [
                {"name": "AUTOCOMMIT", "value": session.autocommit},
                {"name": "CLIENT_TELEMETRY_ENABLED", "value": False},
                {"name": "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY", "value": 3600},
                {"name": "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD", "value": 0},
                {"name": "TIMEZONE", "value": session.parameters["TIMEZONE"]},
            ],
            "sessionInfo": {
                "databaseName": session.connection.database,
                "schemaName": session.connection.schema,
                "warehouseName": session.warehouse,
                "roleName": session.role,
            },
        }
        return JSONResponse({"data": data, "code": None, "message": None, "success": True})

    async def _renew(self, request: Request) -> Response:
        token = request.headers.get("Authorization", "").removeprefix('Snowflake Token="').removesuffix('"')
        for session in list(self.account.sessions.values()):
            if session.master_token == token:
                data = {"sessionToken": session.token, "masterToken": token, "validityInSecondsST": 3600}
                return JSONResponse({"data": data, "code": None, "message": None, "success": True})
        return JSONResponse(GONE)

    async def _heartbeat(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return JSONResponse(GONE)
        if request.query_params.get("delete"):
            await self._call(session.close)
        return JSONResponse({"data": None, "code": None, "message": None, "success": True})

    async def _query(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return JSONResponse(GONE)
        body = await _body(request)
        request_id = request.query_params.get("requestId", new_query_id())
        query_id = self._query_of.get(request_id) or new_query_id()
        if query_id not in self._running:
            self._query_of[request_id] = query_id
            loop = asyncio.get_running_loop()
            self._running[query_id] = loop.run_in_executor(self.pool, self._run, session, body, query_id)
            self._forget()
        if body.get("asyncExec"):
            return JSONResponse(in_progress(query_id, "333334"))
        return await self._answer(request, query_id)

    async def _answer(self, request: Request, query_id: str) -> Response:
        future = self._running.get(query_id)
        if future is None:
            return JSONResponse(failure("000709", f"Statement {query_id} not found", "02000"))
        await asyncio.wait({future}, timeout=self.patience)
        if not future.done():
            return JSONResponse(in_progress(query_id, "333333"))
        answer = future.result()
        if answer is None:
            self._running.pop(query_id, None)  # whoever asks again is not told of this one
            if client := CuttableProtocol.transports.get(tuple(request.scope["client"])):
                client.abort()
        return JSONResponse(answer)

    def _run(self, session: Session, body: Answer, query_id: str) -> Answer | None:
        sql = body["sqlText"]
        try:
            if body.get("describeOnly"):
                return success(session, session.describe(sql), query_id)
            return success(session, session.execute(sql, _bindings(body), query_id), query_id)
        except SqlError as error:
            _log.info("%s: %06d %s", sql, error.errno, error.message)
            return failure(f"{error.errno:06d}", error.message, error.sqlstate, query_id)
        except SessionGone:
            return GONE
        except ConnectionLost:
            return None
        except Exception as error:  # noqa: BLE001 - an HTTP 500 would be retried for minutes
            _log.exception("the answer could not be made")
            return failure("000603", f"SQL execution internal error:\n{error}", "XX000", query_id)

    async def _result(self, request: Request) -> Response:
        self._session(request)
        return await self._answer(request, request.path_params["query_id"])

    async def _monitor(self, request: Request) -> Response:
        self._session(request)
        future = self._running.get(request.path_params["query_id"])
        if future is None:
            return JSONResponse({"data": {"queries": []}, "success": True})
        answer = future.result() if future.done() else {"success": False}
        good = bool(answer and answer["success"])
        status = "RUNNING" if not future.done() else "SUCCESS" if good else "FAILED_WITH_ERROR"
        one = {"status": status, "id": request.path_params["query_id"]}
        if future.done() and answer and not good:
            one |= {"errorCode": answer["code"], "errorMessage": answer["message"]}
        return JSONResponse({"data": {"queries": [one]}, "success": True})

    async def _abort(self, request: Request) -> Response:
        if session := self._session(request):
            session.cancel()
        return JSONResponse({"data": None, "code": None, "message": None, "success": True})

    async def _ignore(self, _: Request) -> Response:
        return JSONResponse({"data": None, "code": None, "message": None, "success": True})

    async def _call(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *arguments)

    def _forget(self) -> None:
        done = [query_id for query_id, future in self._running.items() if future.done()]
        for query_id in done[:-_KEPT_ANSWERS]:
            del self._running[query_id]
        while len(self._query_of) > 10 * _KEPT_ANSWERS + _THREADS:
            self._query_of.popitem(last=False)


_PLACES = ("databaseName", "schemaName", "warehouse", "roleName")


async def _body(request: Request) -> Answer:
    raw = await request.body()
    raw = gzip.decompress(raw) if request.headers.get("Content-Encoding") == "gzip" else raw
    body: Answer = json.loads(raw) if raw else {}
    return body
