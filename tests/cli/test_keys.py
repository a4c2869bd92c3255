"""`linli keys`: turned under a town that goes on, broken off and taken up again, and never so that a row is lost."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from services.cli import database
from services.cli import keys as commands_of_keys
from services.cli import town as demo_town
from services.demo.people import residents
from services.identity.actions import enrolment
from shared import clock, crypto
from shared.crypto import Keyring
from shared.db import Database
from tests.cli.commands import Serving, eventually, linli, refusal, said
from tests.town import Town

HOMES = [("330411105003", 1.0)]


def rows(url: str, sql: str, *args: Any) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql.encode(), args or None).fetchall()


def versions(url: str, column: str = "phone_sealed") -> Counter[tuple[int, int]]:
    told = f"SELECT get_byte({column}, 0), get_byte({column}, 2) FROM persons WHERE {column} IS NOT NULL"
    return Counter((one[0], one[1]) for one in rows(url, told))


def phones(url: str, keys: Keyring) -> set[str]:
    place = {"table": "persons", "column": "phone_sealed"}
    found = rows(url, "SELECT id::text, phone_sealed FROM persons WHERE phone_sealed IS NOT NULL")
    return {crypto.unseal(keys, bytes(value), row=row, **place) for row, value in found}


class Kept:
    """A deployment with sealed residents."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.file = url, folder, folder / "keys.json"
        Town(url)
        ring = crypto.load_or_create(self.file, may_create=True)
        database.remember_keys(url, ring, demo=False)
        register = list(residents(300, seed=5, communities=HOMES, today=clock.today()))

        async def enrol() -> None:
            db = Database.connect(url, pool_size=1)
            try:
                await db.run(enrolment.enrol, ring, register)
            finally:
                await db.close()

        asyncio.run(enrol())
        self.phones = phones(url, ring)
        assert len(self.phones) > 50

    @property
    def keys(self) -> Keyring:
        return crypto.load_or_create(self.file, may_create=False)

    def said(self, *words: object, **more: str) -> str:
        return said(*words, "--data-dir", self.folder, url=self.url, **more)

    def refusal(self, *words: object, **more: str) -> str:
        return refusal(*words, "--data-dir", self.folder, url=self.url, **more)

    def in_use(self) -> None:
        """The new key's time has come."""
        told = json.loads(self.file.read_text())
        told["since"] = {kind: time.time() - 3600 for kind in told["since"]}
        self.file.write_text(json.dumps(told))


@pytest.fixture
def kept(database_url: str, tmp_path: Path) -> Kept:
    return Kept(database_url, tmp_path)


def test_a_field_key_is_turned_every_row_sealed_anew_and_the_old_one_let_go(kept: Kept) -> None:
    shutil.copy(kept.file, kept.folder / "backup.json")
    assert "Then run `linli keys reseal`." in kept.said("keys", "rotate", "field")
    assert kept.refusal("keys", "reseal").startswith("The newest field key seals only from ")
    assert kept.refusal("keys", "rotate", "field").startswith("The newest field key is not used yet")
    kept.in_use()
    before = versions(kept.url)
    assert set(before) == {(1, 1)}
    sealed = sum(before.values()) + sum(versions(kept.url, "document_sealed").values())
    assert f"note  {sealed} values are sealed with an older field key" in kept.said("doctor")
    assert kept.refusal("keys", "retire", "field").startswith("Rows are still sealed under every old field key")

    assert kept.said("keys", "reseal") == f"{sealed} values sealed anew; 0 left.\n"
    assert kept.said("keys", "reseal") == "0 values sealed anew; 0 left.\n"
    assert set(versions(kept.url)) == set(versions(kept.url, "document_sealed")) == {(1, 2)}
    assert "note  " not in kept.said("doctor")
    assert kept.said("keys", "retire", "field") == "1 old field key retired.\n"
    assert list(kept.keys.field) == [2]
    assert phones(kept.url, kept.keys) == kept.phones
    shown = kept.said("keys", "show")
    assert f"{sealed} aes" in shown
    for secret in json.loads(kept.file.read_text())["signing"]:
        assert secret not in shown

    # A copy of the key file from before has not what the rows need.
    shutil.copy(kept.folder / "backup.json", kept.file)
    told = kept.refusal("worker")
    assert told.endswith("are older than this database: field key 2 is missing; restore the newest copy of the file.")


def test_sealing_anew_is_broken_off_and_taken_up_again(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.said("keys", "rotate", "field")
    kept.in_use()
    with psycopg.connect(kept.url) as busy:
        busy.execute("SELECT FROM persons WHERE id = (SELECT min(id::text)::uuid FROM persons) FOR UPDATE")
        done = linli("keys", "reseal", "--data-dir", kept.folder, url=kept.url)
        assert done.returncode == 1
        assert "were in use or came meanwhile; run it again." in done.stderr
        assert 1 <= versions(kept.url, "document_sealed")[1, 1] <= 2
    assert phones(kept.url, kept.keys) == kept.phones
    assert "; 0 left." in kept.said("keys", "reseal")

    # Killed between two batches: what was done stays, and what was not is found.
    kept.said("keys", "rotate", "field")
    kept.in_use()
    monkeypatch.setattr(commands_of_keys, "_BLOCKS", 1)
    batches = 0
    turned = commands_of_keys._turned

    def dies(*args: Any) -> bytes | None:
        nonlocal batches
        batches += 1
        if batches > 100:
            raise KeyboardInterrupt
        return turned(*args)

    monkeypatch.setattr(commands_of_keys, "_turned", dies)
    settings = database.Settings(data_dir=kept.folder, database_url=kept.url)
    with pytest.raises(KeyboardInterrupt):
        commands_of_keys.reseal(settings)
    mixed = versions(kept.url)
    assert mixed[1, 2] > 0
    assert mixed[1, 3] > 0
    assert phones(kept.url, kept.keys) == kept.phones
    assert "; 0 left." in kept.said("keys", "reseal")
    assert set(versions(kept.url)) == {(1, 3)}


def test_a_value_that_cannot_be_opened_is_left_and_counted(kept: Kept) -> None:
    kept.said("keys", "rotate", "field")
    kept.in_use()
    first = "(SELECT id FROM persons WHERE phone_sealed IS NOT NULL ORDER BY id LIMIT 1)"
    spoilt = "set_byte(phone_sealed, 20, 255 - get_byte(phone_sealed, 20))"
    rows(kept.url, f"UPDATE persons SET phone_sealed = {spoilt} WHERE id = {first} RETURNING id")
    done = linli("keys", "reseal", "--data-dir", kept.folder, url=kept.url)
    assert done.returncode == 1
    assert done.stdout.endswith("values sealed anew; 1 left.\n")
    assert "1 values cannot be opened with these keys and were left as they are" in done.stderr
    assert kept.refusal("keys", "retire", "field").startswith("Rows are still sealed")


def test_another_cipher_is_a_setting_and_both_are_read_meanwhile(kept: Kept) -> None:
    sm4 = {"LINLI_CIPHER": "sm4"}
    assert "; 0 left." in kept.said("keys", "reseal", **sm4)
    assert set(versions(kept.url)) == {(2, 1)}
    assert phones(kept.url, kept.keys) == kept.phones
    assert "Blind indexes: HMAC-SHA256, for ever. New values are sealed with sm4." in kept.said("keys", "show", **sm4)
    assert "; 0 left." in kept.said("keys", "reseal")
    assert set(versions(kept.url)) == {(1, 1)}
    assert "cannot be used" in kept.refusal("keys", "show", LINLI_CIPHER="des")


def test_a_signing_key_is_kept_for_the_longest_pass_unless_it_was_stolen(kept: Kept) -> None:
    kept.said("keys", "rotate", "signing")
    assert len(kept.keys.signing) == 2
    kept.in_use()
    assert kept.refusal("keys", "retire", "signing").startswith("Tokens or passes that the old signing key has signed")
    assert kept.said("keys", "retire", "signing", "--now") == "1 old signing key retired.\n"
    assert kept.said("keys", "retire", "signing") == "There is no old signing key.\n"


def test_what_cannot_be_turned_is_told(kept: Kept) -> None:
    told = "There are no index keys; there are signing, field, assertion. The index key is never turned."
    for words in (("rotate", "index"), ("retire", "index")):
        assert kept.refusal("keys", *words) == told


class Crowd:
    """Somebody who logs in, refreshes, reads and looks around the whole time, and what they were answered."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=20, trust_env=False)
        self.answers: Counter[int] = Counter()
        self.kids: set[str] = set()
        self.turns = 0

    def ask(self, method: str, path: str, token: str | None = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.http.request(method, path, headers=headers, **more)
        self.answers[answer.status_code] += 1
        assert answer.status_code < 400, (path, answer.text)
        return answer.json()

    def turn(self, older: str | None = None) -> str:
        self.turns += 1
        phone = f"154{self.turns:08d}"
        code = self.ask("POST", "/v1/identity/codes", json={"phone": phone})["demo_code"]
        login = self.ask("POST", "/v1/identity/sessions", json={"provider": "phone", "phone": phone, "code": code})
        fresh = self.ask("POST", "/v1/identity/sessions/refresh", json={"refresh_token": login["refresh_token"]})
        token = str(fresh["access_token"])
        kid = jwt.get_unverified_header(token)["kid"]
        assert kid in {one["kid"] for one in self.ask("GET", "/.well-known/jwks.json")["keys"]}
        self.kids.add(kid)
        for one in (login["access_token"], token, older):
            if one is not None:
                assert self.ask("GET", "/v1/identity/me", one)["person"]["phone_masked"]
        return token


@pytest.fixture
def apart(database_url: str, tmp_path: Path) -> Iterator[tuple[Crowd, Path]]:
    """A demo town as two processes, so that the gateway's word is believed by another."""
    ring = crypto.load_or_create(tmp_path / "keys.json", may_create=True)
    database.remember_keys(database_url, ring, demo=True)
    demo_town.build(database_url, ring, residents=20, seed=7, show=False)
    more = {"LINLI_POOL_SIZE": "4"}
    place: Any = {"folder": tmp_path, "url": database_url}
    with contextlib.ExitStack() as stack:
        identity = stack.enter_context(
            Serving("serve", "identity", "--port", 0, "--data-dir", tmp_path, **place, **more)
        )
        more["LINLI_UPSTREAMS"] = json.dumps({"identity": identity.ready()})
        gateway = stack.enter_context(Serving("serve", "gateway", "--port", 0, "--data-dir", tmp_path, **place, **more))
        crowd = Crowd(gateway.ready())
        stack.callback(crowd.http.close)
        yield crowd, tmp_path


@pytest.mark.skipif(not os.environ.get("LINLI_LONG"), reason="takes twenty seconds; LINLI_LONG=1 runs it")
def test_all_keys_are_turned_under_a_town_of_two_processes_and_nobody_notices(
    apart: tuple[Crowd, Path], database_url: str
) -> None:
    crowd, folder = apart
    first = crowd.turn()
    for kind in ("signing", "assertion", "field"):
        said("keys", "rotate", kind, "--in", 4, "--data-dir", folder, url=database_url)
        crowd.turn(first)
    until = time.monotonic() + 8
    while time.monotonic() < until:
        crowd.turn(first)
    eventually(lambda: crowd.turn(first) and len(crowd.kids) == 2)
    assert set(versions(database_url)) == {(1, 1), (1, 2)}
    assert "; 0 left." in said("keys", "reseal", "--data-dir", folder, url=database_url)
    crowd.turn(first)
    told = crypto.read(folder / "keys.json")
    assert told is not None
    crypto.replace(folder / "keys.json", dataclasses.replace(told, since=dict.fromkeys(told.since, time.time() - 3600)))
    assert said("keys", "retire", "field", "--data-dir", folder, url=database_url) == "1 old field key retired.\n"
    said("keys", "retire", "signing", "--now", "--data-dir", folder, url=database_url)
    time.sleep(2.5)
    crowd.turn()
    refused = crowd.http.get("/v1/identity/me", headers={"Authorization": f"Bearer {first}"})
    assert refused.status_code == 401
    assert len(crowd.http.get("/.well-known/jwks.json").json()["keys"]) == 1
    assert set(crowd.answers) <= {200, 201, 202}
