"""Stories: a day of somebody in the town, told call by call against a running server. They stand in examples/stories."""

from __future__ import annotations

import importlib.util
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.markup import escape

from services.cli import Stop

FOLDER: Final = Path(__file__).resolve().parents[2] / "examples" / "stories"
_TELLING: Final = (
    *(
        "state",
        "progress",
        "reason",
        "code",
        "detail",
        "title",
        "name",
        "outcome",
        "kind",
        "admitted",
        "position",
        "stars",
    ),
    *("children", "ratio", "pay_fen", "subsidy_fen", "total_fen", "free", "bookable", "demo_code", "url"),
)
"""Fields of an answer that a reader wants to see at once."""
_PATIENCE: Final = 60.0
"""Seconds after which what the worker does has not happened."""


class Unexpected(Exception):
    """The town answered something else than the story tells."""


class Person:
    """Somebody of the story; each call is sent as them, and told."""

    def __init__(self, teller: Teller, persona: str, token: str | None) -> None:
        self._teller = teller
        self.persona = persona
        self.token = token

    def get(self, path: str, *, expect: int | None = None, **params: Any) -> Any:
        """Read something."""
        return self._teller.call(self.persona, self.token, "GET", path, expect=expect, params=params)

    def post(
        self,
        path: str,
        json: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        expect: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Do something. A claim gets an Idempotency-Key of its own when none is given."""
        told = {"Idempotency-Key": key or uuid.uuid4().hex, **(headers or {})}
        return self._teller.call(self.persona, self.token, "POST", path, expect=expect, json=json, headers=told)

    def put(
        self,
        path: str,
        json: Mapping[str, Any],
        *,
        expect: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Say something anew; the version that is there is read first, as the console would."""
        told = dict(headers or {})
        if "If-Match" not in told:
            told["If-Match"] = self._teller.etag(self.token, path)
        return self._teller.call(self.persona, self.token, "PUT", path, expect=expect, json=json, headers=told)

    def delete(self, path: str, *, expect: int | None = None, **params: Any) -> Any:
        """Take something back."""
        return self._teller.call(self.persona, self.token, "DELETE", path, expect=expect, params=params)

    def hears(self, kind: str, **data: Any) -> Any:
        """Wait until they are told something of this type (with these values in its data), and tell it."""
        return self._teller.told(self.persona, self.token, kind, data)

    @property
    def id(self) -> str:
        """The person's own id."""
        me = self._teller.read(self.token, "/v1/identity/me")
        return str(me["person"]["id"])

    def acts_for(self, name: str | None = None) -> str:
        """The id of somebody they act for: by name, or the first."""
        people = self._teller.read(self.token, "/v1/identity/me")["acts_for"]
        return str(next(one["person"]["id"] for one in people if name in (None, one["person"]["name"])))


class Teller:
    """Tells a story: hands out people, sends what they say, prints what they hear."""

    def __init__(self, url: str, token_of: Callable[[str], str], console: Console) -> None:
        self.url = url
        self._token_of = token_of
        self._console = console
        self._client = httpx.Client(base_url=url, timeout=40, trust_env=False)

    def as_(self, persona: str) -> Person:
        """One of the demo's people, or `anybody` who is not logged in."""
        return Person(self, persona, None if persona == "anybody" else self._token_of(persona))

    def with_key(self, name: str, key: str) -> Person:
        """A system that comes with a key of its own."""
        return Person(self, name, key)

    def say(self, text: str) -> None:
        """A sentence between two calls."""
        self._console.print(f"\n[bold]{escape(text)}[/bold]")

    def until(self, is_so: Callable[[], Any], *, seconds: float = _PATIENCE) -> Any:
        """Look again until it is so: what the worker does takes a moment."""
        end = time.monotonic() + seconds
        while True:
            found = is_so()
            if found:
                return found
            if time.monotonic() > end:
                raise Unexpected("what the story waits for did not happen")
            time.sleep(0.2)

    def told(self, persona: str, token: str | None, kind: str, data: Mapping[str, Any]) -> Any:
        """The first notice to somebody of this type and with these values."""
        after, end = 0, time.monotonic() + _PATIENCE
        while True:
            page = self.read(token, "/v1/notices", after=after, wait=5, limit=200)
            after = page["next"]
            for one in page["items"]:
                if one["type"] == kind and all(one["data"].get(name) == value for name, value in data.items()):
                    self._console.print(f"  [cyan]{escape(persona)}[/cyan] hears [magenta]{escape(kind)}[/magenta]")
                    return one
            if time.monotonic() > end:
                raise Unexpected(f"{persona} was never told {kind}")

    def read(self, token: str | None, path: str, **params: Any) -> Any:
        """Look at something without telling it."""
        answer = self._client.get(path, params=params, headers=self._headers(token))
        if answer.status_code >= 400:
            raise Unexpected(f"GET {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def etag(self, token: str | None, path: str) -> str:
        """The version of something; `"0"` of what is not there yet."""
        answer = self._client.get(path, headers=self._headers(token))
        return str(answer.headers.get("etag", '"0"'))

    @staticmethod
    def _headers(token: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"} if token else {}

    def call(  # noqa: PLR0913 - what a request is made of
        self,
        persona: str,
        token: str | None,
        method: str,
        path: str,
        *,
        expect: int | None,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request, print it with what was answered, and give the answer's JSON (or text)."""
        told = {key: value for key, value in (params or {}).items() if value is not None}
        sent = {**self._headers(token), **(headers or {})}
        answer = self._client.request(method, path, params=told, json=json, headers=sent)
        is_json = "json" in answer.headers.get("content-type", "")
        found = answer.json() if is_json and answer.content else answer.text
        shown = path + ("?" + "&".join(f"{key}={value}" for key, value in told.items()) if told else "")
        colour = "green" if answer.status_code < 300 else "yellow" if answer.status_code < 500 else "red"
        self._console.print(
            f"  [cyan]{escape(persona)}[/cyan] {method} {escape(shown)} "
            f"[{colour}]{answer.status_code}[/{colour}] {escape(_told(found))}",
            soft_wrap=True,
        )
        if answer.status_code != expect if expect is not None else answer.status_code >= 300:
            raise Unexpected(f"{method} {path}: {answer.status_code} instead of {expect or '2xx'}: {answer.text[:600]}")
        return found


def _told(found: Any) -> str:
    if isinstance(found, Mapping):
        if isinstance(found.get("items"), list):
            return f"{len(found['items'])} items"
        return "  ".join(f"{key}={found[key]}" for key in _TELLING if found.get(key) is not None)
    return f"{len(found)} characters" if isinstance(found, str) and found else ""


def names() -> list[str]:
    """The stories there are."""
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def tell(name: str, url: str, token_of: Callable[[str], str], console: Console) -> None:
    """Tell one story against the server at `url`."""
    if name not in names():
        raise Stop(f"There is no story {name}; there are {', '.join(names()) or 'none in this installation'}.")
    spec = importlib.util.spec_from_file_location(f"story_{name}", FOLDER / f"{name}.py")
    if spec is None or spec.loader is None:  # pragma: no cover - a file that was just listed
        raise Stop(f"The story {name} cannot be read.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    console.print(f"[bold]{escape((module.__doc__ or name).strip().splitlines()[0])}[/bold]")
    try:
        module.story(Teller(url, token_of, console))
    except Unexpected as wrong:
        raise Stop(f"The story went otherwise: {wrong}") from None
    except httpx.TransportError:
        raise Stop(
            f"Nobody answers at {url}; start the town with script/server, or say with --url where it is."
        ) from None
    console.print("\n[green]The end.[/green]")
