"""The demo town behind a gateway in this process, and everybody who has a part in it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from services.cli import town as demo_town
from services.cli.town import personas
from services.identity import sealing
from shared import embedded
from shared.crypto import Keyring
from shared.db import Database
from shared.tokens import verify
from tests.conftest import copy_of
from tests.gateway import doors
from tests.gateway.test_front import Front, opened

MORE = {"staff": "330411105", "operator": "330411105", "volunteer": "330411004", "barred": ""}
"""Who has no part in the demo: three roles with their regions, and a father who was barred from his child."""
EVERYBODY = ("nobody", *(one.key for one in personas.PERSONAS), *MORE)


READ_FOR_THEIR_WORK = frozenset(
    {"manager", "kitchen", "courier", "carer", "steward", "organiser", "staff", "operator", "volunteer"}
)
"""Who sees the names of those who come to their places; nobody sees numbers or phones but where a reveal says so."""


class Known(NamedTuple):
    """What must not be told to everybody: numbers and phones, and names, each with whose they are."""

    secrets: dict[str, set[uuid.UUID]]
    names: dict[str, set[uuid.UUID]]
    own: dict[str, set[uuid.UUID]]
    """For each persona: they themselves, those they act for, and those who act for the same people."""

    def given_away(self, persona: str, text: str) -> list[str]:
        """What an answer tells this persona of others."""
        own = self.own.get(persona, set())
        shown = {word for word, whose in self.secrets.items() if word in text and not whose & own}
        if persona not in READ_FOR_THEIR_WORK:
            shown |= {word for word, whose in self.names.items() if word in text and not whose & own}
        return sorted(shown)


def known(url: str, keys: Keyring, tokens: dict[str, str | None]) -> Known:
    """Everybody of the town, with what is sealed opened."""
    found = Known({}, {}, {})
    with psycopg.connect(url) as connection:
        for person, name, number, phone in connection.execute(
            "SELECT id, name, document_sealed, phone_sealed FROM persons"
        ):
            found.names.setdefault(name, set()).add(person)
            if number is not None:
                found.secrets.setdefault(sealing.open_document(keys, number, person), set()).add(person)
            if phone is not None:
                digits = sealing.open_phone(keys, phone, person).removeprefix("86")
                found.secrets.setdefault(digits, set()).add(person)
        relations = connection.execute("SELECT actor_id, person_id FROM relations WHERE barred_at IS NULL").fetchall()
    for persona, token in tokens.items():
        me = verify(keys, token).person_id if token is not None else None
        mine = {person for actor, person in relations if actor == me}
        found.own[persona] = {one for one in [me, *mine] if one is not None} | {
            actor for actor, person in relations if person in mine or person == me
        }
    return found


class Everybody(NamedTuple):
    """The demo town behind a gateway, and everybody's token. No answer may give anybody away."""

    front: Front
    tokens: dict[str, str | None]
    known: Known

    def ask(self, persona: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        headers = {"Accept-Language": "en", "Idempotency-Key": uuid.uuid4().hex, "If-Match": '"nothing-like-it"'}
        if self.tokens[persona] is not None:
            headers["Authorization"] = f"Bearer {self.tokens[persona]}"
        asked = {"json": body} if body is not None else {}
        answer = self.front.ask(method, path, headers=headers | more.pop("headers", {}), **asked, **more)
        is_a_kitchens = persona in READ_FOR_THEIR_WORK and path.startswith(
            "/v1/elder-meals/orders/"
        )  # the door's phone
        if not (path.endswith("/reveal") or is_a_kitchens):
            shown = self.known.given_away(persona, answer.text)
            assert shown == [], f"{persona} {method} {path} was told {shown}"
        return answer


def joined(front: Front) -> dict[str, str]:
    """The tokens of those who have no part in the demo, now that they live in its town."""
    several = dict(zip(MORE, front.town.residents(len(MORE), level=3), strict=True))
    for key, region in MORE.items():
        if region:
            front.town.appoint(several[key], key, region)
    front.town.do(
        "INSERT INTO relations (actor_id, person_id, kind, ends_at, closed_at, barred_at) "
        "SELECT %s, person_id, kind, now(), now(), now() FROM relations WHERE kind = 'guardian' LIMIT 1",
        several["barred"].person_id,
    )
    return {key: one.token(front.keys, 12 * 3600) for key, one in several.items()}


@pytest.fixture(scope="module")
def everybody(
    server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Everybody]:
    keys = Keyring.fresh()
    with copy_of(server, template) as url, contextlib.ExitStack() as stack:
        demo_town.build(url, keys, residents=20, seed=7, show=False)

        async def tokens() -> dict[str, str]:
            db = Database.connect(url, pool_size=1)
            try:
                return {one.key: await personas.token(db, keys, one.key) for one in personas.PERSONAS}
            finally:
                await db.close()

        everybodys: dict[str, str | None] = {"nobody": None, **asyncio.run(tokens())}
        folder: Path = tmp_path_factory.mktemp("matrix")
        settings = doors.demo(folder, account_burst=100_000, address_burst=1_000_000)
        front = stack.enter_context(opened(url, keys, settings))
        everybodys |= joined(front)
        yield Everybody(front, everybodys, known(url, keys, everybodys))
