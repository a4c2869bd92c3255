"""Where staff log in: the page at /oauth/authorize, the exchange at /oauth/token, and the page of an invitation.

Not in the document of the API: the pages are for people, and what the exchange says is RFC 6749's.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Depends, Request, Response

from services.identity import actions, oauth, pages, passwords, second
from services.identity.limits import network
from services.identity.oauth import Ask
from services.identity.routes.issued import refreshed, tokens_of
from shared import crypto, errors, web, wire
from shared.crypto import Tampered
from shared.texts import LANGUAGES, choose, language
from shared.web import Context, Who, Wide

router = APIRouter(prefix="/oauth", include_in_schema=False, dependencies=[Depends(web.caller)])

TICKET_SECONDS: Final = 600
"""So long may one look for one's telephone, or write recovery codes down."""
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'{}; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who has shown the right password in this browser, and what is missing; sealed between the steps.

    `set_at` is when that password was set: with another, the ticket opens nothing.
    """

    account_no: int
    name: str
    set_at: str
    secret: str | None = field(default=None, repr=False)
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser for one of the pages: its language, its cookie, and what a client asks."""

    ctx: Context
    lang: str
    browser: str
    ask: Ask | None = None

    @classmethod
    def of(cls, request: Request, ctx: Context, told: dict[str, str], ask: Ask | None) -> Visit:
        """A browser is known by a random cookie, which binds the forms it was given to it."""
        wanted = told.get("switch") or told.get("ui_locales", "")
        lang = wanted if wanted in LANGUAGES else language(request.headers.get("accept-language"))
        known = request.cookies.get(_cookie(ctx), "")
        return cls(ctx, lang, known if _BROWSER.fullmatch(known) else secrets.token_urlsafe(32), ask)

    def token(self) -> str:
        """Proves that a form was shown to this browser."""
        return crypto.blind_index(self.ctx.keys, self.browser, column="oauth.form").hex()

    def is_own(self, told: dict[str, str]) -> bool:
        """Whether a form comes from this browser, and not from a page of somebody else's."""
        return hmac.compare_digest(told.get("form", "").encode(), self.token().encode())

    def hidden(self, ticket: Ticket | None = None) -> dict[str, str]:
        """What a form carries on."""
        carried = {"form": self.token(), "ui_locales": self.lang, **(self.ask.fields() if self.ask else {})}
        return carried | ({"ticket": self._seal(ticket)} if ticket else {})

    def _seal(self, ticket: Ticket) -> str:
        text = wire.dumps({**asdict(ticket), "until": time.time() + TICKET_SECONDS}).decode()
        sealed = crypto.seal(self.ctx.keys, text, table="oauth", column="ticket", row=self.browser)
        return base64.urlsafe_b64encode(sealed).decode()

    def ticket(self, told: dict[str, str]) -> Ticket | None:
        """The ticket in a form, if it is one of this browser's and not too old."""
        try:
            sealed = base64.urlsafe_b64decode(told["ticket"])
            text = crypto.unseal(self.ctx.keys, sealed, table="oauth", column="ticket", row=self.browser)
        except (KeyError, ValueError, Tampered):
            return None
        found = wire.loads(text)
        return Ticket(**found) if found.pop("until") > time.time() else None

    def page(self, html: str, status: int = 200, **headers: str) -> Response:
        """A page for this browser only."""
        leads = f" {oauth.origin(self.ask.redirect_uri)}" if self.ask else ""  # a form's answer may be sent on there
        told = {**_HEADERS, "Content-Security-Policy": _POLICY.format(leads), "Content-Language": self.lang, **headers}
        answer = Response(html, status, told, "text/html; charset=utf-8")
        is_secure = self.ctx.settings.public_url.startswith("https:")
        answer.set_cookie(_cookie(self.ctx), self.browser, secure=is_secure, httponly=True, samesite="strict")
        return answer

    def step(self, ticket: Ticket | None, name: str, problem: str | None = None, status: int = 200) -> Response:
        """The page of the step that a ticket has come to."""
        hidden = self.hidden(ticket)
        problem = choose(problem, self.lang) if problem else None
        if ticket is None:
            return self.page(pages.login(self.lang, hidden, name=name, problem=problem), status)
        if ticket.secret is not None:
            return self.page(
                pages.enrol(self.lang, hidden, secret=ticket.secret, name=ticket.name, problem=problem), status
            )
        return self.page(pages.code(self.lang, hidden, problem=problem), status)


def _cookie(ctx: Context) -> str:
    return "__Host-linli" if ctx.settings.public_url.startswith("https:") else "linli-login"


async def _form(request: Request) -> dict[str, str]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise errors.WrongMediaType
    return oauth.form(await request.body())


def _turned_away(request: Request, ctx: Context, wrong: oauth.Wrong) -> Response:
    """Back to the client with the error; only told here where there is no client to trust."""
    if isinstance(wrong, oauth.Declined):
        return Response(status_code=303, headers={"Location": wrong.location, **_HEADERS})
    visit = Visit.of(request, ctx, {}, None)
    text = choose(pages.PROBLEMS["stray"], visit.lang)
    return visit.page(pages.told(visit.lang, pages.STRAY, text), 400)


@router.get("/authorize")
async def show_login(request: Request, ctx: Wide) -> Response:
    try:
        told = oauth.form(request.scope["query_string"])
        visit = Visit.of(request, ctx, told, oauth.read(told, ctx.settings))
    except oauth.Wrong as wrong:
        return _turned_away(request, ctx, wrong)
    return visit.step(None, "")


@router.post("/authorize")
async def log_in(request: Request, ctx: Wide, who: Who) -> Response:
    try:
        told = await _form(request)
        ask = oauth.read(told, ctx.settings)
    except oauth.Wrong as wrong:
        return _turned_away(request, ctx, wrong)
    visit, name = Visit.of(request, ctx, told, ask), told.get("username", "")
    ticket = visit.ticket(told)
    if not visit.is_own(told) or ("ticket" in told and ticket is None):
        return visit.step(None, name, pages.PROBLEMS["stale"], 400)
    if "switch" in told:
        return visit.step(ticket, name)
    try:
        if ticket is None:
            return await _by_password(visit, ask, name, told.get("password", ""), network(who.address))
        return await _by_second(visit, ask, ticket, told.get("code", ""))
    except (errors.TooMany, errors.Unavailable) as soon:
        answer = visit.step(ticket, name, pages.waits(soon.retry_after or 1), soon.status)
        answer.headers["Retry-After"] = str(pages.whole(soon.retry_after or 1))
        return answer


async def _by_password(visit: Visit, ask: Ask, name: str, password: str, address: str) -> Response:
    ctx = visit.ctx
    passwords.require_room()  # before the try is counted: it is not this one's fault
    tried = await ctx.db.run(actions.staff.try_password, ctx.keys, name, address)
    kept = None if passwords.is_demo(password) and not ctx.settings.demo else tried.kept
    if not await passwords.verify(kept, password) or tried.account_no is None or tried.set_at is None:
        await ctx.db.run(actions.staff.wrong, tried.account_no, tried.tries)
        return visit.step(None, name, pages.PROBLEMS["wrong"], 400)
    standing = await ctx.db.run(actions.staff.right, ctx.keys, tried.account_no, name, address, demo=ctx.settings.demo)
    secret = second.secret() if standing == "enrol" else None
    ticket = Ticket(tried.account_no, actions.staff.plain_name(name), tried.set_at.isoformat(), secret)
    if standing == "in":
        return await _back(visit, ask, ticket)
    return visit.step(ticket, name)


async def _by_second(visit: Visit, ask: Ask, ticket: Ticket, code: str) -> Response:
    ctx = visit.ctx
    if ticket.is_done:
        return await _back(visit, ask, ticket)
    if ticket.secret is not None:
        set_at = datetime.fromisoformat(ticket.set_at)
        try:
            codes = await ctx.db.run(actions.staff.enrol, ctx.keys, ticket.account_no, set_at, ticket.secret, code)
        except errors.Conflict:  # another window was faster, or the password is another
            return visit.step(None, ticket.name, pages.PROBLEMS["stale"], 409)
        if codes is None:
            return visit.step(ticket, "", pages.PROBLEMS["code"], 400)
        done = replace(ticket, secret=None, is_done=True)
        return visit.page(pages.recovery(visit.lang, visit.hidden(done), codes))
    tries = await ctx.db.run(actions.staff.try_second, ctx.keys, ticket.account_no)
    if not await ctx.db.run(actions.staff.use_second, ctx.keys, ticket.account_no, code, tries):
        return visit.step(ticket, "", pages.PROBLEMS["code"], 400)
    return await _back(visit, ask, replace(ticket, is_done=True))


async def _back(visit: Visit, ask: Ask, ticket: Ticket) -> Response:
    ctx, set_at = visit.ctx, datetime.fromisoformat(ticket.set_at)
    try:
        code = await ctx.db.run(actions.staff.send_back, ticket.account_no, set_at, ask, has_second=ticket.is_done)
    except errors.Conflict:  # what was shown has been taken away meanwhile
        return visit.step(None, ticket.name, pages.PROBLEMS["stale"], 409)
    location = oauth.back(ask.redirect_uri, ctx.settings, code=code, state=ask.state)
    return Response(status_code=303, headers={"Location": location, **_HEADERS})


def _error(error: str, why: str, status: int = 400) -> Response:
    """As RFC 6749 §5.2 asks."""
    return web.plain_json({"error": error, "error_description": why}, status, {"Cache-Control": "no-store"})


@router.post("/token")
async def exchange(request: Request, ctx: Wide) -> Response:
    try:
        told = await _form(request)
    except (oauth.Wrong, errors.WrongMediaType):
        return _error("invalid_request", "The request is not a form.")
    client, kind = told.get("client_id", ""), told.get("grant_type", "")
    if client != oauth.CONSOLE and client not in ctx.settings.oauth_clients:
        return _error("invalid_client", "This client is not known.", 401)
    if kind not in ("authorization_code", "refresh_token"):
        return _error("unsupported_grant_type", "There are authorization_code and refresh_token.")
    needed = ("code", "redirect_uri", "code_verifier") if kind == "authorization_code" else ("refresh_token",)
    if missing := [name for name in needed if not told.get(name)]:
        return _error("invalid_request", f"{missing[0]} is missing.")
    if kind == "authorization_code":
        bought = actions.staff.Redeeming(client, told["redirect_uri"], told["code"], told["code_verifier"])
        life, idle = timedelta(hours=ctx.settings.staff_hours), timedelta(minutes=ctx.settings.staff_idle_minutes)
        terms = actions.logins.Terms(client, life, idle)
        issued = await ctx.db.run(actions.staff.redeem, ctx.keys, terms, bought)
    else:
        issued = await refreshed(ctx, told["refresh_token"])
    if issued is None:
        return _error("invalid_grant", "It is wrong, over, or was used before.")
    return web.private(tokens_of(ctx, issued), Pragma="no-cache")


@router.get("/invitation")
async def show_invitation(request: Request, ctx: Wide) -> Response:
    visit = Visit.of(request, ctx, {"ui_locales": request.query_params.get("ui_locales", "")}, None)
    return visit.page(pages.invitation(visit.lang, visit.hidden()))


@router.post("/invitation")
async def accept_invitation(request: Request, ctx: Wide) -> Response:
    try:
        told = await _form(request)
    except oauth.Wrong as wrong:
        return _turned_away(request, ctx, wrong)
    visit = Visit.of(request, ctx, told, None)
    problem = await _set_password(visit, told) if "switch" not in told else ""
    if problem is None:
        text = choose(pages.GO_ON, visit.lang)
        return visit.page(pages.told(visit.lang, pages.DONE, text))
    shown = choose(pages.PROBLEMS[problem], visit.lang) if problem else None
    name = told.get("username", "")
    html = pages.invitation(visit.lang, visit.hidden(), name=name, problem=shown)
    return visit.page(html, 400 if problem else 200)


async def _set_password(visit: Visit, told: dict[str, str]) -> str | None:
    """Why an invitation's password was not set; None when it was."""
    ctx, keys = visit.ctx, visit.ctx.keys
    name, code, password = (told.get(one, "") for one in ("username", "code", "password"))
    if not visit.is_own(told):
        return "stale"
    if passwords.normal(password) != passwords.normal(told.get("again", "")):
        return "differ"
    if not await ctx.db.read(actions.staff.invited, keys, name, code):
        return "invitation"
    if fault := passwords.fault(password, name):
        return fault
    kept = await passwords.keep(password)
    return None if await ctx.db.run(actions.staff.accept, keys, name, code, kept) else "invitation"


@cache
def _style() -> bytes:
    return (Path(__file__).parents[1] / "static" / "login.css").read_bytes()


@router.get("/login.css")
async def style() -> Response:
    return Response(_style(), headers={"Cache-Control": "public, max-age=3600"}, media_type="text/css; charset=utf-8")
