"""Whatever any test is answered by the gateway or a service is searched for what its asker may not see.

Document numbers and phones of the mainland are known by their form, others by having been sent; names are those of the
people in the databases that the tests have open. Everybody may see their own name, those of people they act for or who act
for the same, and what they sent themselves. What else legitimately shows is in `SHOWN`, by route and field; everything else
fails the test that received it.

`listen` puts an ear on httpx, through which the tests ask; a crowd on bare sockets calls `heard` itself. It costs a look over
each body and one question a test: what people are called. Only if another's name is found it is asked who they are.
"""

from __future__ import annotations

import base64
import contextlib
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final, LiteralString, NamedTuple

import httpx
import orjson
import psycopg

from shared import assertion
from tests import town

ANYBODY: Final = frozenset[str]()
DESK: Final = frozenset({"staff", "manager", "operator"})
CARERS: Final = DESK | {"carer"}
KITCHEN: Final = DESK | {"kitchen"}
WAYS: Final = KITCHEN | {"courier"}
DOOR: Final = DESK | {"volunteer", "gate"}
CLAIMS: Final = r"/v1/(booking/reservations|elder-meals/orders|childcare/visits|events/registrations)(/[^/]+)?"
ORDERS: Final = r"/v1/(elder-meals/(orders(/[^/]+)?|elders/[^/]+)|claims/[^/]+)"


class Shown(NamedTuple):
    """Something that may show: on which routes, in which field, to whom (one of these roles; none: to anybody), and why."""

    routes: str
    fields: str
    roles: frozenset[str]
    why: str


SHOWN: Final = (
    Shown(
        r"/v1/identity/sessions(/refresh)?|/oauth/token", r"account\.person\.name", ANYBODY, "who has just logged in"
    ),
    Shown(CLAIMS, r"(items\[\]\.)?persons\[\]\.name", DESK | CARERS | WAYS, "who comes to where one works"),
    Shown(r"/v1/[a-z-]+/[a-z]+/[^/]+/sheet", r"slots\[\]\.people\[\]\.name|text", DESK | CARERS | KITCHEN, "the same"),
    Shown(ORDERS, r"(items\[\]\.)?deliver_to\.phone", ANYBODY, "the door's, given with the order and told with it"),
    Shown(
        r"/v1/elder-meals/rounds.*", r".*courier\.name|stops\[\]\.(name|phone)", WAYS, "whose door, and whom to call"
    ),
    Shown(r"/v1/elder-meals/welfare-checks.*", r"(items\[\]\.)?person\.name", WAYS, "for whom nobody opened"),
    Shown(
        r"/v1/elder-meals/elders/[^/]+", r"(neighbour|contacts\[\])\.phone", ANYBODY, "said by the elder, to be called"
    ),
    Shown(r"/v1/childcare/children/[^/]+", r"contacts\[\]\.phone", ANYBODY, "given by a guardian, for around a visit"),
    Shown(r"/v1/childcare/children/[^/]+", r"(person|guardians\[\])\.name", CARERS, "whom to call around a visit"),
    Shown(r"/v1/childcare/children/[^/]+/collectors", r"items\[\]\.person\.name", CARERS, "who may collect"),
    Shown(r"/v1/childcare/children/[^/]+/handovers", r"items\[\]\.adult", ANYBODY, "with whom one's child went"),
    Shown(r"/v1/childcare/(children/[^/]+/reads|incidents.*)", r"(items\[\]\.)?by", ANYBODY, "carers sign by name"),
    Shown(r"/v1/childcare/rooms/[^/]+/(now|count)", r"inside\[\]\.name", CARERS, "who is in the room"),
    Shown(r"/v1/childcare/rooms/[^/]+/carers", r"person\.name", CARERS, "a colleague who came"),
    Shown(r"/v1/childcare/visits/[^/]+/sign-(in|out)", r"(person|adult)\.name", CARERS, "whom a carer has at the door"),
    Shown(r"/v1/childcare/incidents.*", r"(items\[\]\.)?persons\[\]\.name", CARERS, "to whom something happened"),
    Shown(r"/v1/events/(events|series)/[^/]+/attendance", r".*\.person\.name|text", DOOR, "the list at the door"),
    Shown(r"/v1/events/calendar/[^/]+\.ics", r"text", ANYBODY, "the family's, behind a secret address"),
    Shown(r"/v1/identity/(people/[^/]+/reveal|reveals/[^/]+)", r"values\..*", DESK, "revealed, and written down"),
    Shown(r"/v1/identity/requests/[^/]+", r"value", DESK, "the name that somebody asks to be corrected to"),
)
"""What legitimately shows though it is somebody else's. Everything else does not."""

NOBODYS: Final = {"新居民", "已注销"}
"""What who has not said a name yet, or is gone, is called."""

_RAW: Final = re.compile(
    rb"(?<![0-9A-Za-z])[1-9][0-9]{5}(?:18|19|20|21)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx](?![0-9A-Za-z])"
    rb"|(?<![0-9A-Za-z_-])(?:\+?86)?1[3-9][0-9]{9}(?![0-9A-Za-z_-])"
)
_SENT: Final = re.compile(rb'"(?:number|phone)": ?"([^"\\]{6,40})"')


class Heard(NamedTuple):
    """An answer, and what was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    sent: bytes
    body: bytes


class Asker(NamedTuple):
    """Who asked, as their token or assertion says."""

    account_id: uuid.UUID | None
    name: str
    people: frozenset[uuid.UUID]
    roles: frozenset[str]


class Known(NamedTuple):
    """Who is in a town that the tests have open: whose a name is, who is near whom, what roles an account has."""

    names: dict[str, set[uuid.UUID]]
    near: dict[uuid.UUID, set[uuid.UUID]]
    accounts: dict[uuid.UUID, tuple[uuid.UUID | None, frozenset[str]]]


_NAMES: Final = "SELECT name, id FROM holders WHERE kind = 'person'"
_REST: Final = """
SELECT 'near', actor_id, person_id, NULL::text[] FROM relations
UNION ALL SELECT 'near', actor_id, person_id, NULL FROM offers WHERE actor_id IS NOT NULL
UNION ALL SELECT 'account', id, person_id, ARRAY(SELECT role FROM roles WHERE account_no = a.no) FROM accounts a
"""

_heard: list[Heard] = []
_towns: set[str] = set()
_known: dict[str, Known] = {}
"""What is known of each town: towns that are open at once have people of the same names."""


def heard(method: str, path: str, headers: Mapping[str, str], sent: bytes, body: bytes) -> None:
    """Remember an answer for the end of the test."""
    if body:
        _heard.append(Heard(method, path, headers, sent, body))


def listen() -> None:
    """Hear every answer that httpx brings."""
    later, now = httpx.AsyncClient.send, httpx.Client.send

    def note(answer: httpx.Response, *, is_stream: bool) -> httpx.Response:
        if not is_stream:
            asked = answer.request
            sent = asked.content if hasattr(asked, "_content") else b""
            heard(asked.method, asked.url.path, asked.headers, sent, answer.content)
        return answer

    async def send_later(client: httpx.AsyncClient, request: httpx.Request, **more: Any) -> httpx.Response:
        return note(await later(client, request, **more), is_stream=more.get("stream", False))

    def send_now(client: httpx.Client, request: httpx.Request, **more: Any) -> httpx.Response:
        return note(now(client, request, **more), is_stream=more.get("stream", False))

    httpx.AsyncClient.send = send_later  # type: ignore[method-assign, assignment]
    httpx.Client.send = send_now  # type: ignore[method-assign, assignment]


@contextlib.contextmanager
def listening(url: str) -> Iterator[None]:
    """The people in this database are known meanwhile, and then until the test has ended."""
    _towns.add(url)
    try:
        yield
    finally:
        if _heard:
            _learn_names(url)
            _learn_the_rest(url)
        _towns.remove(url)


def _rows(url: str, asked: LiteralString) -> list[Any]:
    try:
        return town.kept(url).execute(asked).fetchall()
    except psycopg.Error:  # a test that breaks its database, or holds on to its tables, has its reasons
        return []


def _of(url: str) -> Known:
    return _known.setdefault(url, Known({}, {}, {}))


def _learn_names(url: str) -> None:
    for name, person in _rows(url, _NAMES):
        if name not in NOBODYS:
            _of(url).names.setdefault(name, set()).add(person)


def _learn_the_rest(url: str) -> None:
    for kind, one, person, roles in _rows(url, _REST):
        if kind == "near":
            _of(url).near.setdefault(one, set()).add(person)
            _of(url).near.setdefault(person, set()).add(one)
        else:
            _of(url).accounts[one] = (person, frozenset(roles))


def examine() -> None:
    """Fail if something that was heard since the last time tells its asker what they may not see."""
    answers, _heard[:] = _heard[:], []
    try:
        if answers:
            for url in _towns:
                _learn_names(url)
            numbers = _numbers(answers)
            everywhere = {*_towns, *_known, ""}  # numbers need no town
            suspects = {url: _suspects(answers, numbers, _of(url)) for url in everywhere}
            if any(suspects.values()):  # few tests come so far
                for url in _towns:
                    _learn_the_rest(url)
            told = {one for url, some in suspects.items() for one in given_away(_living(some, url), _of(url))}
            assert not told, "somebody was told what is not theirs to see:\n" + "\n".join(sorted(told))
    finally:
        _known.clear()


class Suspect(NamedTuple):
    """An answer with something in it that is not its asker's by name: raw numbers and phones, others' names."""

    answer: Heard
    text: str
    raw: set[str]
    others: set[str]


def _living(suspects: list[Suspect], url: str) -> list[Suspect]:
    """Those whose asker lives in this town, as far as any town knows them."""
    return [
        one
        for one in suspects
        if (who := _asked(one.answer).account_id) in _of(url).accounts
        or not any(who in known.accounts for known in _known.values())
    ]


def _numbers(answers: list[Heard]) -> list[set[str]]:
    """For each answer the document numbers and phones in it."""
    odd = {one for answer in answers for one in _SENT.findall(answer.sent) if not _RAW.fullmatch(one)}
    return [
        {one.decode() for one in (*_RAW.findall(answer.body), *(word for word in odd if word in answer.body))}
        for answer in answers
    ]


def _suspects(answers: list[Heard], numbers: list[set[str]], known: Known) -> list[Suspect]:
    names = _pattern(known)
    found = []
    for answer, raw in zip(answers, numbers, strict=True):
        text = answer.body.decode("utf-8", "replace")
        others = {one for one in names.findall(text) if one in known.names} if known.names else set()
        if others:
            others -= {one for one in others if one in answer.sent.decode("utf-8", "replace")} | {_asked(answer).name}
        if raw or others:
            found.append(Suspect(answer, text, raw, others))
    return found


def _pattern(known: Known) -> re.Pattern[str]:
    """Any of the names; digits behind one belong to it."""
    stems = sorted({re.escape(name.rstrip("0123456789")) for name in known.names} - {""}, key=len, reverse=True)
    return re.compile(f"(?:{'|'.join(stems) or '(?!)'})[0-9]*")


def given_away(suspects: list[Suspect], known: Known) -> list[str]:
    """What these answers tell that their askers may not see: each with its route and field."""
    names = _pattern(known)
    found: list[str] = []
    for answer, text, raw, others in suspects:
        asker = _asked(answer)
        person, roles = known.accounts.get(asker.account_id, (None, ANYBODY)) if asker.account_id else (None, ANYBODY)
        own = asker.people | ({person} if person is not None else set())
        for _ in range(2):  # those they act for, and who acts for the same
            own = own.union(*(known.near.get(one, ()) for one in own))
        left = {one for one in others if not known.names[one] & own}
        for field, value in _fields(answer.body, text) if raw or left else ():
            words = {one for one in raw if one in value}
            if not (words and field == "text"):  # sheets and lists have names on them, and neither numbers nor phones
                words |= set(names.findall(value)) & left
                words = set() if _may_show(answer.path, field, asker.roles | roles) else words
            if words:
                found.append(
                    f"{answer.method} {answer.path} {field}: {sorted(words)}, asked by {asker.name or 'nobody'}"
                )
    return found


def _may_show(path: str, field: str, roles: frozenset[str]) -> bool:
    return any(
        re.fullmatch(one.routes, path) and re.fullmatch(one.fields, field) and (not one.roles or one.roles & roles)
        for one in SHOWN
    )


def _asked(answer: Heard) -> Asker:
    """Whom the gateway, or the service, would take them for; nobody where it says nothing that can be read."""
    signed = answer.headers.get("authorization", "").removeprefix("Bearer ")
    signed = signed if signed.count(".") == 2 else answer.headers.get(assertion.HEADER, "")
    part = signed.split(".")[1] if signed.count(".") == 2 else ""
    try:
        told = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        account_id = uuid.UUID(told.get("acc") or told.get("sub"))
        people = {uuid.UUID(one) for one in (told.get("per"), *(each[0] for each in told.get("for", ()))) if one}
    except (ValueError, TypeError, AttributeError):
        return Asker(None, "", frozenset(), ANYBODY)
    return Asker(account_id, told.get("nam") or "", frozenset(people), frozenset(one[0] for one in told.get("rol", ())))


def _fields(body: bytes, text: str) -> Iterator[tuple[str, str]]:
    """Every text in an answer, and where it stands; `text` is all of what is no JSON."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        yield "text", text
        return
    yield from _walk(told, "")


def _walk(value: Any, at: str) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for name, one in value.items():
                yield from _walk(one, f"{at}.{name}" if at else name)
                yield f"{at}.{name}" if at else name, name
        case list():
            for one in value:
                yield from _walk(one, f"{at}[]")
        case str() | int():
            yield at, str(value)
