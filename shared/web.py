"""A service as an ASGI app: FastAPI with the manners that all services share.

Every request must carry the gateway's assertion; every refusal becomes a problem document; nothing leaves before its
transaction is committed, because handlers await actions that commit (a `yield` dependency would commit after the answer).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from types import GenericAlias, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import structlog
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Strict, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from shared import assertion, errors, problems, wire
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Database
from shared.line import Line
from shared.rights import Rights
from shared.settings import Settings

log = structlog.get_logger(__name__)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")

Endpoint = Callable[[Request], Awaitable[Response]]
Ask = Callable[[int, str, Mapping[str, Any], str], Awaitable[tuple[int, dict[str, Any]]]]
"""Claims through the front door for an account: `ask(account_no, service, body, key)` is a status and what was answered."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a running service is given: the database in its own role, keys, settings, and the lines it opens.

    A request is given it within its caller's reach (`context`). Tasks may `ask` for places on behalf of whoever wished for
    them, and have people's `rights` done by every service; requests have the gateway for that.
    """

    db: Database
    keys: Keyring
    settings: Settings
    lines: dict[str, Line[Any, Any]] = field(default_factory=dict)
    ask: Ask | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is to stop: who waits for something new answers at once with what there is."""
    rights: Rights | None = None

    def within(self, caller: Caller) -> Context:
        """The same for one request: its database shows and takes no more than this caller's reach allows."""
        return Context(
            self.db.within(caller), self.keys, self.settings, self.lines, self.ask, self.stopping, self.rights
        )


def _is_day(told: Any) -> Any:
    if isinstance(told, str) and not _DAY.fullmatch(told):
        raise ValueError("YYYY-MM-DD")
    return told


def _is_moment(told: Any) -> Any:
    if not isinstance(told, datetime) and not (isinstance(told, str) and _MOMENT.match(told)):
        raise ValueError("YYYY-MM-DDThh:mm:ss with an offset")
    return told


Date = Annotated[date, BeforeValidator(_is_day)]
"""A date as YYYY-MM-DD and nothing else: a plain number would otherwise be taken for seconds since 1970."""
_STRICT: Final = {
    bool: Annotated[bool, Strict()],
    int: Annotated[int, Strict()],
    float: Annotated[float, Strict()],
    date: Date,
    AwareDatetime: Annotated[AwareDatetime, BeforeValidator(_is_moment)],
}


def _strict(told: Any) -> Any:
    """The same type, taken from nothing else."""
    if told in _STRICT:
        return _STRICT[told]
    origin, within = get_origin(told), get_args(told)
    if origin is Annotated:
        return Annotated[_strict(within[0]), *within[1:]]
    if origin is list:
        return GenericAlias(list, (_strict(within[0]),))
    if origin in (Union, UnionType):
        return Union[tuple(_strict(one) for one in within)]  # noqa: UP007 - made out of values
    return told


class In(BaseModel):
    """What callers may say: nothing unknown, no surprise types, no NUL, bounded text."""

    model_config = ConfigDict(extra="forbid", str_max_length=2000, allow_inf_nan=False, str_strip_whitespace=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """A number is a number: neither `true` nor `"1"` is one; yes is `true` and no other word; a moment is written out."""
        taken = {name: _strict(one.annotation) for name, one in cls.model_fields.items()}
        if any(cls.model_fields[name].annotation != told for name, told in taken.items()):
            for name, told in taken.items():
                cls.model_fields[name].annotation = told
            cls.model_rebuild(force=True)


class Out(BaseModel):
    """What callers hear."""

    model_config = ConfigDict(from_attributes=True)


class Problem(Out):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = None


def refuses(*kinds: type[errors.Refusal]) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for its documentation: `responses=refuses(errors.Full, …)`."""
    by_status: dict[int | str, list[type[errors.Refusal]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        status: {
            "description": "\n".join(f"- `{kind.code}`: {kind.title('en')}" for kind in several)
            + "\u241f"
            + "\n".join(f"- `{kind.code}`：{kind.title('zh')}" for kind in several),
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, several in by_status.items()
    }


EVERYWHERE = refuses(
    errors.Unreadable,
    errors.NotKnown,
    errors.TokenExpired,
    errors.NotAllowed,
    errors.NotThere,
    errors.MethodNotAllowed,
    errors.TooLarge,
    errors.WrongMediaType,
    errors.Unprocessable,
    errors.TooMany,
    errors.Unavailable,
    errors.ServiceDown,
    errors.ServiceSlow,
)
"""What any route behind the gateway may answer."""


def problem(request: Request, refusal: errors.Refusal) -> Response:
    """The refusal as this request's answer."""
    status, headers, body = problems.render(
        refusal,
        accept_language=request.headers.get("accept-language"),
        request_id=request.headers.get("x-request-id"),
    )
    response = Response(body, status)
    response.raw_headers = headers
    return response


async def _refused(request: Request, error: Exception) -> Response:
    return problem(request, error if isinstance(error, errors.Refusal) else errors.Broken())


async def _invalid(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json" and any(one["loc"][:1] == ("body",) for one in found):
        return problem(request, errors.WrongMediaType())
    return problem(request, problems.of_validation(found))


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    kinds: Mapping[int, type[errors.Refusal]] = {
        400: errors.Unreadable,
        404: errors.NotThere,
        405: errors.MethodNotAllowed,
        413: errors.TooLarge,
        415: errors.WrongMediaType,
    }
    return problem(request, kinds.get(status, errors.Broken)())


_SECRET = re.compile(r"(/calendar/)[^/]+")


def loggable(path: str) -> str:
    """A path as it may be written into a log: without what opens something to whoever reads it there."""
    return _SECRET.sub(r"\1…", path)


async def _broken(request: Request, error: Exception) -> Response:
    log.error("broken", path=loggable(request.url.path), request_id=request.headers.get("x-request-id"), exc_info=error)
    return problem(request, errors.Broken())


async def caller(request: Request) -> Caller:
    """Whom the gateway vouches for."""
    state = request.state
    key, *more = state.context.keys.assertions
    return assertion.verify(request.headers.get(assertion.HEADER), audience=state.audience, key=key, more=more)


Who = Annotated[Caller, Depends(caller)]


async def context(request: Request, who: Who) -> Context:
    """The running service's parts; its database shows and takes no more than the caller's reach allows."""
    found: Context = request.state.context
    return found.within(who)


async def wide(request: Request, _who: Who) -> Context:
    """The same without the caller's reach, for what cannot be done within it; docs/walls.md says for each why."""
    found: Context = request.state.context
    return found


Ctx = Annotated[Context, Depends(context)]
Wide = Annotated[Context, Depends(wide)]


class App:
    """A service's app: FastAPI, what this one runs with, and an express way for the few requests that come by the thousand.

    The FastAPI is the same for all apps of a service in a process, as its routes cost more than a request to make ready;
    what differs is in `state`, which requests find as `request.state`.

    An express handler is the very function of the route. What it is given is made by the same schema and the same
    dependencies, but without the general machinery of routing and dependency solving, which costs more than a booking.
    """

    def __init__(
        self,
        fastapi: FastAPI,
        express: Mapping[tuple[str, str], Endpoint],
        state: dict[str, Any],
        lifespan: Callable[[Any], contextlib.AbstractAsyncContextManager[None]] | None = None,
    ) -> None:
        self.fastapi = fastapi
        self.router = Router(lifespan=lifespan)
        self.state = state
        self._express = express

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (or the lifespan)."""
        if scope["type"] == "lifespan":
            await self.router(scope, receive, send)
            return
        scope["state"] = self.state
        endpoint = self._express.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self.fastapi(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await endpoint(request)
        except errors.Refusal as refusal:
            response = problem(request, refusal)
        except ValidationError as error:
            response = problem(request, problems.of_validation(error.errors(include_url=False, include_input=False)))
        except Exception as error:  # noqa: BLE001 - as the app's own last handler
            response = await _broken(request, error)
        await response(scope, receive, send)


def with_routes(title: str, routers: Iterable[APIRouter]) -> FastAPI:
    """These routes, every failure of theirs a problem document."""
    app = FastAPI(title=title, redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(errors.Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _broken)
    for router in routers:
        app.include_router(router)
    return app


_alive = APIRouter()


@_alive.get("/healthz", include_in_schema=False)
async def alive() -> dict[str, str]:
    """Containers ask; it tells nothing, so it needs no assertion."""
    return {"status": "alive"}


def service_app(
    name: str,
    title: str,
    routers: list[APIRouter],
    *,
    opens: Callable[[Context], Mapping[str, Line[Any, Any]]] | None = None,
    express: Mapping[tuple[str, str], Endpoint] | None = None,
) -> Callable[[Context], App]:
    """A maker of the service's app: call it with a context. `opens` names the lines that live as long as the app."""

    @cache
    def routed() -> FastAPI:
        return with_routes(title, [_alive, *routers])

    def make(given: Context) -> App:
        @contextlib.asynccontextmanager
        async def lifespan(_app: Any) -> AsyncIterator[None]:
            if opens is not None:
                given.lines.update(opens(given))
            try:
                yield
            finally:
                for line in given.lines.values():
                    await line.close()
                given.lines.clear()

        return App(routed(), express or {}, {"context": given, "audience": name}, lifespan)

    return make


def json(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer out of a model, serialised once."""
    return Response(model.model_dump_json(), status, headers, "application/json")


def private(model: BaseModel, status: int = 200, **headers: str) -> Response:
    """The same where no cache may keep it."""
    return json(model, status, {"Cache-Control": "no-store"} | headers)


def plain_json(value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer out of plain values that already have a model's shape."""
    return Response(wire.dumps(value), status, headers, "application/json")


def etag(*parts: object) -> str:
    """A strong ETag out of what the resource depends on."""
    return '"' + "-".join(str(part) for part in parts) + '"'


def require_match(request: Request, current: str) -> None:
    """Refuse an edit of something that was not read, or has changed since."""
    wanted = request.headers.get("if-match")
    if wanted is None:
        raise errors.ConditionMissing
    if wanted.strip() != "*" and current not in {one.strip() for one in wanted.split(",")}:
        raise errors.Changed
