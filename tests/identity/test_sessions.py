"""Sessions: one chain of refresh tokens each, forgiving to a phone that lost an answer and to nobody else."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import httpx
import pytest

from services.identity import tasks, tokens
from services.identity.actions import logins
from shared import clock
from shared.web import Context
from tests.identity.town import ANYONE, Login, Town, play

PHONE, OTHER = "15400000001", "15400000002"


def session_of(login: Login) -> uuid.UUID:
    assert login.caller.session_id is not None
    return login.caller.session_id


def test_each_refresh_brings_the_next_token(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        seen, token = {login.refresh}, login.refresh
        assert login.answer["expires_in"] == 900, "a quarter of an hour, where the settings say nothing else"
        for _ in range(4):
            answer = await town.refresh(token)
            assert answer.status_code == 200, answer.text
            assert answer.json().keys() == login.answer.keys()
            assert answer.json()["account"] == login.answer["account"]
            assert town.of(answer.json()).caller == login.caller
            token = answer.json()["refresh_token"]
            assert token not in seen
            seen.add(token)
        assert await town.value("SELECT count(*) FROM sessions") == 1

    play(database_url, scenario)


def test_twenty_refreshes_at_once_get_one_successor(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "GRACE_SECONDS", 3600)  # how long a slow machine takes is not what is asked here

    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)

        async def refreshed() -> httpx.Response:
            answer = await town.refresh(login.refresh)
            return await refreshed() if answer.status_code == 503 else answer  # the line was too long: it asks again

        answers = await asyncio.gather(*(refreshed() for _ in range(20)))
        assert {one.status_code for one in answers} == {200}
        successors = {one.json()["refresh_token"] for one in answers}
        assert len(successors) == 1
        assert login.refresh not in successors
        assert (await town.refresh(successors.pop())).status_code == 200

    play(database_url, scenario)


def test_without_its_lock_a_refresh_would_split_the_chain(database_url: str) -> None:
    """The control: the same race with a view in the way, on which FOR NO KEY UPDATE locks nothing of the table."""

    async def scenario(town: Town) -> None:
        await town.execute("ALTER TABLE sessions RENAME TO kept_sessions")
        await town.execute(
            """
            CREATE FUNCTION all_sessions() RETURNS SETOF kept_sessions LANGUAGE sql VOLATILE AS
            'SELECT pg_sleep(0.05); SELECT * FROM kept_sessions'
            """
        )
        await town.execute("CREATE VIEW sessions AS SELECT * FROM all_sessions()")
        await town.execute(
            """
            CREATE FUNCTION write_session() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF TG_OP = 'INSERT' THEN
                    NEW.made_at = now();
                    NEW.was_reused = false;
                    INSERT INTO kept_sessions SELECT NEW.*;
                ELSE
                    UPDATE kept_sessions SET refresh_hash = NEW.refresh_hash, previous_hash = NEW.previous_hash,
                        successor_sealed = NEW.successor_sealed, rotated_at = NEW.rotated_at, revoked_at = NEW.revoked_at
                    WHERE id = NEW.id;
                END IF;
                RETURN NEW;
            END $$
            """
        )
        await town.execute(
            "CREATE TRIGGER writes INSTEAD OF INSERT OR UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION write_session()"
        )
        await town.execute("GRANT SELECT, INSERT, UPDATE ON sessions, kept_sessions TO linli_identity")
        login = await town.login(PHONE)
        answers = await asyncio.gather(*(town.refresh(login.refresh) for _ in range(10)))
        assert len({one.json().get("refresh_token") for one in answers}) > 1

    play(database_url, scenario)


def test_a_phone_that_lost_the_answer_gets_the_same_one_for_thirty_seconds(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        first = (await town.refresh(login.refresh)).json()["refresh_token"]
        await town.execute("UPDATE sessions SET rotated_at = rotated_at - interval '28 seconds'")
        assert (await town.refresh(login.refresh)).json()["refresh_token"] == first
        assert (await town.refresh(first)).status_code == 200

    play(database_url, scenario)


def test_a_token_used_again_later_ends_the_session_for_everybody(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        elsewhere = await town.login(PHONE)
        stolen = (await town.refresh(login.refresh)).json()["refresh_token"]
        await town.execute("UPDATE sessions SET rotated_at = rotated_at - interval '31 seconds'")
        reused = await town.refresh(login.refresh)
        assert (reused.status_code, reused.json()["code"]) == (401, "not_known")
        assert await town.value("SELECT revoked_at IS NOT NULL FROM sessions WHERE id = $1", session_of(login))
        async with town.root.transaction() as tx:
            (notice,) = await tx.fetch("SELECT type, subject, holders, data, community FROM notices")
        assert (notice["type"], notice["subject"]) == ("identity.session.revoked", session_of(login))
        assert (notice["holders"], notice["data"]) == ([login.caller.holder_no], {"reason": "reused"})
        assert (await town.refresh(stolen)).status_code == 401
        assert (await town.refresh(elsewhere.refresh)).status_code == 200

    play(database_url, scenario)


def test_a_token_two_generations_old_ends_the_session_at_once(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        second = (await town.refresh(login.refresh)).json()["refresh_token"]
        third = (await town.refresh(second)).json()["refresh_token"]
        assert (await town.refresh(login.refresh)).status_code == 401
        assert (await town.refresh(third)).status_code == 401

    play(database_url, scenario)


def test_a_made_up_token_ends_nothing(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        known = tokens.read(town.keys, login.refresh)
        assert known is not None
        assert known.text == login.refresh
        forged = tokens.make(type(town.keys).fresh(), session_of(login)).text
        for told in (forged, login.refresh[:-2] + "AA", login.refresh + "A", "x", "令牌", "😀", "=" * 90):
            assert (await town.refresh(told)).status_code == 401
        assert await town.value("SELECT revoked_at IS NULL FROM sessions")
        assert (await town.refresh(login.refresh)).status_code == 200

    play(database_url, scenario)


def test_a_session_ends_however_often_it_is_refreshed(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        ends = await town.value("SELECT expires_at FROM sessions")
        following = (await town.refresh(login.refresh)).json()
        assert await town.value("SELECT expires_at FROM sessions") == ends
        await town.execute("UPDATE sessions SET expires_at = now() + interval '70 seconds'")
        last = (await town.refresh(following["refresh_token"])).json()
        assert 60 <= last["expires_in"] <= 70
        assert town.of(last).caller.session_id == session_of(login)
        await town.execute("UPDATE sessions SET expires_at = now() - interval '1 second'")
        assert (await town.refresh(last["refresh_token"])).status_code == 401

    play(database_url, scenario)


def test_a_login_that_is_not_used_is_over_before_its_time(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login, other = await town.login(PHONE), await town.login(PHONE)
        idle = "UPDATE sessions SET made_at = now() - interval '3 days' + $1 WHERE id = $2"
        await town.execute(idle, timedelta(minutes=5), session_of(login))
        following = (await town.refresh(login.refresh)).json()["refresh_token"]
        items = (await town.call("GET", "/sessions", caller=login.caller)).json()["items"]
        assert len(items) == 2
        used = "UPDATE sessions SET rotated_at = now() - interval '3 days' - interval '1 second' WHERE id = $1"
        await town.execute(used, session_of(login))
        assert (await town.refresh(following)).status_code == 401
        (left,) = (await town.call("GET", "/sessions", caller=login.caller)).json()["items"]
        assert left["id"] == str(session_of(other))
        assert left["expires_at"][:10] == (clock.now() + timedelta(days=3)).astimezone(clock.ZONE).date().isoformat()

    play(database_url, scenario, idle_days=3)


def test_logging_out_everywhere_ends_every_device_and_nobody_elses(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mine, tablet, stranger = await town.login(PHONE), await town.login(PHONE), await town.login(OTHER)
        for _ in range(2):
            assert (await town.call("DELETE", "/sessions", caller=mine.caller)).status_code == 204
        for one in (mine, tablet):
            assert (await town.refresh(one.refresh)).status_code == 401
        assert (await town.refresh(stranger.refresh)).status_code == 200
        assert (await town.call("DELETE", "/sessions")).status_code == 401
        assert await town.value("SELECT count(*) FROM notices") == 0

    play(database_url, scenario)


def test_only_a_hash_of_a_token_is_kept(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        following = (await town.refresh(login.refresh)).json()["refresh_token"]
        for token in (login.refresh, following):
            assert len(token) >= 80
            rows = "SELECT count(*) FROM sessions s WHERE s::text LIKE '%' || $1 || '%'"
            assert await town.value(rows, token) == 0
            assert await town.value(rows, token.encode().hex()) == 0

    play(database_url, scenario)


def test_a_closed_account_neither_refreshes_nor_logs_in(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        await town.execute("UPDATE accounts SET closed_at = now()")
        assert (await town.refresh(login.refresh)).status_code == 401
        body = {"provider": "phone", "phone": PHONE, "code": await town.code(PHONE)}
        assert (await town.call("POST", "/sessions", body)).status_code == 403
        assert (await town.call("GET", "/me", caller=login.caller)).status_code == 401

    play(database_url, scenario)


def test_my_devices_are_listed_newest_first_and_page_by_page(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        logins = [await town.login(PHONE, device) for device in ("手机", "平板", "电脑")]
        await town.login(OTHER)
        mine = logins[1].caller
        listed = (await town.call("GET", "/sessions", caller=mine)).json()
        assert [one["device"] for one in listed["items"]] == ["电脑", "平板", "手机"]
        assert [one["current"] for one in listed["items"]] == [False, True, False]
        assert listed["next"] is None
        assert listed["items"][0]["made_at"].endswith("+08:00")
        seen, cursor = [], ""
        while cursor is not None:
            page = (await town.call("GET", f"/sessions?limit=1{cursor and '&cursor=' + cursor}", caller=mine)).json()
            seen += [one["id"] for one in page["items"]]
            cursor = page["next"]
        assert seen == [one["id"] for one in listed["items"]]
        assert (await town.call("GET", "/sessions?cursor=zzz", caller=mine)).status_code == 422

    play(database_url, scenario)


def test_a_device_is_logged_out_by_its_owner_only(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mine, other, stranger = await town.login(PHONE), await town.login(PHONE), await town.login(OTHER)
        assert (await town.call("DELETE", f"/sessions/{session_of(mine)}", caller=stranger.caller)).status_code == 404
        assert (await town.call("DELETE", f"/sessions/{uuid.uuid4()}", caller=mine.caller)).status_code == 404
        for _ in range(2):
            answer = await town.call("DELETE", f"/sessions/{session_of(other)}", caller=mine.caller)
            assert (answer.status_code, answer.content) == (204, b"")
        assert (await town.refresh(other.refresh)).status_code == 401
        assert (await town.call("DELETE", "/sessions/current", caller=mine.caller)).status_code == 204
        assert (await town.refresh(mine.refresh)).status_code == 401
        assert (await town.call("GET", "/sessions", caller=mine.caller)).json()["items"] == []
        assert (await town.refresh(stranger.refresh)).status_code == 200
        without = mine.caller._replace(session_id=None)
        assert (await town.call("DELETE", "/sessions/current", caller=without)).status_code == 404

    play(database_url, scenario)


def test_who_is_not_logged_in_is_told_so(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        for method, path in (
            ("GET", "/sessions"),
            ("DELETE", "/sessions/current"),
            ("GET", "/me"),
            ("GET", "/me/family"),
        ):
            refused = await town.call(method, path, caller=ANYONE)
            assert (refused.status_code, refused.json()["code"]) == (401, "not_known")
            assert refused.headers["www-authenticate"] == "Bearer"

    play(database_url, scenario)


def test_what_is_over_is_forgotten_in_time(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        context: Context = town.app.state["context"]
        long_dead, revoked, live = [await town.login(PHONE) for _ in range(3)]
        kept = (await town.refresh(live.refresh)).json()["refresh_token"]
        await town.code(PHONE)
        await town.code(OTHER)
        assert await tasks.forget(context) == 0
        back = "UPDATE sessions SET expires_at = now() - interval '31 days' WHERE id = $1"
        await town.execute(back, session_of(long_dead))
        await town.execute(
            "UPDATE sessions SET revoked_at = now() - interval '29 days' WHERE id = $1", session_of(revoked)
        )
        await town.execute(
            "UPDATE sessions SET rotated_at = now() - interval '61 seconds' WHERE rotated_at IS NOT NULL"
        )
        await town.execute(
            "UPDATE login_codes SET expires_at = now() - interval '1 second', first_sent_at = $1 "
            "WHERE phone_index = (SELECT min(phone_index) FROM login_codes)",
            await town.value("SELECT now() - $1::interval", timedelta(hours=25)),
        )
        assert await tasks.forget(context) == 3
        assert await town.value("SELECT count(*) FROM sessions") == 2
        assert await town.value("SELECT count(*) FROM login_codes") == 1
        assert await town.value("SELECT count(successor_sealed) FROM sessions") == 0
        assert await tasks.forget(context) == 0
        assert (await town.refresh(kept)).status_code == 200

    play(database_url, scenario)
