"""People at the desk: found, written down once, changed and confirmed; and what nobody may do."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from services.identity import rules
from shared import errors
from shared.assertion import ActsFor
from tests.identity.counter import (
    FAR,
    HERE,
    VILLAGE,
    appointed,
    ask,
    body,
    both,
    code_of,
    enrolled,
    far_away,
    healthy,
    holding,
    number,
)
from tests.identity.town import Town, play

CLERK, OTHER, THIRD, PHONE = "15400000001", "15400000002", "15400000003", "15400000009"


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("13812345678", "phone"),
        ("0573-83641234", "phone"),
        ("33041119380101001X", "document"),
        ("３３０４１１１９３８０１０１００１ｘ", "document"),
        ("E12345678", "document"),
        ("H1234567890", "document"),
        ("张三", "name"),
        ("Anna", "name"),
        ("张", None),
        (" ", None),
        ("%_", "name"),
    ],
)
def test_what_was_typed_at_the_desk_is_a_phone_a_document_or_a_name(typed: str, kind: str | None) -> None:
    found = rules.sought(typed)
    assert (found.kind if found else None) == kind


def test_staff_find_people_by_number_phone_and_name_and_see_them_masked(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        made = await enrolled(town, clerk, 1, name="欧阳娜娜", phone=PHONE)
        assert made["name"] == "欧阳*"
        assert made["document"] == {"kind": "resident_id", "number": "330***********" + number(1)[-4:]}
        assert (made["phone"], made["level"], made["community"]) == ("154****0009", 2, HERE)
        for typed in (number(1), f" {number(1).lower()} ", PHONE, "+86 154 0000 0009", "欧阳", "欧阳娜娜"):
            answer = await ask(town, clerk, "POST", "/people/search", {"q": typed})
            assert [one["id"] for one in answer.json()["items"]] == [made["id"]], typed
            assert "娜娜" not in answer.text
            assert number(1) not in answer.text
            assert PHONE not in answer.text
        for typed in (number(2), number(1)[:17], "15400000008", "娜娜", "%阳", "欧_"):
            answer = await ask(town, clerk, "POST", "/people/search", {"q": typed})
            assert answer.json() == {"items": []}, typed
        assert code_of(await ask(town, clerk, "POST", "/people/search", {"q": "欧"})) == (422, "unprocessable")
        written = await town.value(
            "SELECT jsonb_agg(jsonb_build_array(data, reason, person_id)) FROM audit WHERE action = 'people.search'"
        )
        assert len(written) == 12
        assert written[0] == [{"kind": "document", "found": 1}, None, None]
        assert "欧阳" not in json.dumps(written, ensure_ascii=False)
        assert number(1) not in json.dumps(written)

    play(database_url, scenario)


def test_a_search_ends_at_the_region_and_shows_twenty_at_most(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK, prefix=HERE)
        far = await appointed(town, OTHER, prefix=FAR)
        for n in range(22):
            await enrolled(town, clerk, n, name=f"王小{n}")
        answer = await ask(town, clerk, "POST", "/people/search", {"q": "王小"})
        assert len(answer.json()["items"]) == 20
        for typed in ("王小", number(3)):
            assert (await ask(town, far, "POST", "/people/search", {"q": typed})).json() == {"items": []}
        # Who works there is found there, too, and nowhere else.
        someone = (await ask(town, clerk, "POST", "/people/search", {"q": number(3)})).json()["items"][0]["id"]
        tie = {"kind": "works_here", "community": FAR}
        assert (await ask(town, clerk, "POST", f"/people/{someone}/places", tie)).status_code == 201
        found = (await ask(town, far, "POST", "/people/search", {"q": number(3)})).json()["items"]
        assert [one["id"] for one in found] == [someone]
        assert (await ask(town, far, "GET", f"/people/{someone}")).status_code == 200
        change = {"name": "王大"}
        etag = {"if-match": "*"}
        assert code_of(await ask(town, far, "PUT", f"/people/{someone}", change, **etag)) == (403, "not_allowed")

    play(database_url, scenario)


def test_only_a_desk_searches_and_not_without_end(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(CLERK)
        for role in ("kitchen", "courier", "carer", "auditor", "administrator"):
            asked = await ask(town, holding(login, role, "33"), "POST", "/people/search", {"q": "王小"})
            assert code_of(asked) == (403, "not_allowed"), role
        bound = holding(login, "staff", "33", place_id=uuid.uuid4())
        assert code_of(await ask(town, bound, "POST", "/people/search", {"q": "王小"})) == (403, "not_allowed")
        assert code_of(await town.call("POST", "/people/search", {"q": "王小"})) == (401, "not_known")
        staff = holding(login, "staff", "33")
        for _ in range(300):
            with contextlib.suppress(errors.TooMany):
                town.app.state["desk"].searches.take(login.caller.account_no)
        answer = await ask(town, staff, "POST", "/people/search", {"q": "王小"})
        assert code_of(answer) == (429, "too_many")
        assert int(answer.headers["retry-after"]) > 0

    play(database_url, scenario, demo=False)


@pytest.mark.parametrize(
    "told", [{}, {"q": ""}, {"q": "x" * 81}, {"q": 5}, {"q": "张三", "more": 1}, {"q": "张\x00三"}]
)
def test_a_malformed_search_is_refused(database_url: str, told: Any) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        answer = await ask(town, clerk, "POST", "/people/search", told)
        assert answer.status_code in (200, 422), answer.text
        assert answer.status_code == 422 or answer.json() == {"items": []}

    play(database_url, scenario)


def test_a_number_is_written_down_once_and_only_neighbours_learn_whose_it_is(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk, far = await appointed(town, CLERK, prefix="33"), await appointed(town, OTHER, prefix=FAR)
        made = await enrolled(town, clerk, 1, name="沈阿毛")
        again = await ask(town, clerk, "POST", "/people", body(1, name="沈阿毛"))
        assert code_of(again) == (409, "document_taken")
        assert again.json()["person"] == {"id": made["id"], "name": "沈*"}
        elsewhere = await ask(town, far, "POST", "/people", body(1, community=FAR))
        assert code_of(elsewhere) == (409, "document_taken")
        assert "person" not in elsewhere.json()
        # A number is one person's under whatever kind of document it is shown.
        passport = {"kind": "passport", "number": number(1)}
        assert code_of(await ask(town, clerk, "POST", "/people", body(document=passport))) == (409, "document_taken")
        assert await town.value("SELECT count(*) FROM persons WHERE document_index IS NOT NULL") == 1
        await healthy(town)

    play(database_url, scenario)


@pytest.mark.parametrize("is_refereed", [True, False])
def test_two_desks_at_once_write_one_person(database_url: str, is_refereed: bool) -> None:  # noqa: FBT001
    async def scenario(town: Town) -> None:
        clerks = [await appointed(town, phone) for phone in (CLERK, OTHER)]
        if not is_refereed:
            await town.execute("ALTER TABLE persons DROP CONSTRAINT one_person_per_document")
        for n in range(8):
            answers = await both(*(ask(town, one, "POST", "/people", body(n)) for one in clerks))
            codes = sorted(answer.status_code for answer in answers)
            if is_refereed:
                assert codes == [201, 409]
                (won,) = (one.json() for one in answers if one.status_code == 201)
                (lost,) = (one.json() for one in answers if one.status_code == 409)
                assert lost["person"]["id"] == won["id"]
        several = await town.value(
            "SELECT count(*) FROM (SELECT FROM persons GROUP BY document_index HAVING document_index IS NOT NULL "
            "AND count(*) > 1) AS doubled"
        )
        assert (several == 0) == is_refereed

    play(database_url, scenario)


def test_every_kind_of_document_is_taken_at_the_desk(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        hk, card = "81000019940823002", "93268219850101001"
        shown = {
            "hk_mo_tw_residence": hk + rules.check_digit(hk),
            "foreigner_2017": "USA330485031201",
            "foreigner_2023": card + rules.check_digit(card),
            "passport": "E12345678",
            "travel_permit": "H1234567890",
        }
        for kind, told in shown.items():
            document = {"kind": kind, "number": told}
            answer = await ask(town, clerk, "POST", "/people", body(document=document))
            assert answer.status_code == 201, (kind, answer.text)
            assert answer.json()["level"] == 2
            assert told not in answer.text
        vouched = await ask(town, clerk, "POST", "/people", body(document={"kind": "none"}))
        assert (vouched.json()["level"], vouched.json()["document"]) == (1, {"kind": "none", "number": None})
        two = await ask(town, clerk, "POST", "/people", body(document={"kind": "none"}))
        assert two.status_code == 201, "who has no number is nobody else's double"
        for wrong in ({"kind": "none", "number": "1"}, {"kind": "passport"}, {"kind": "passport", "number": ""}):
            assert code_of(await ask(town, clerk, "POST", "/people", body(document=wrong))) == (422, "unprocessable")
        wrong = {"kind": "resident_id", "number": number(1)[:17] + ("1" if number(1)[17] != "1" else "2")}
        told = await ask(town, clerk, "POST", "/people", body(document=wrong))
        assert code_of(told) == (422, "document_check_digit")

    play(database_url, scenario)


def test_what_is_wrong_at_enrolment_changes_nothing(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        wrong: list[tuple[dict[str, Any], tuple[int, str]]] = [
            ({"community": VILLAGE}, (403, "not_allowed")),
            ({"community": "330411105999"}, (403, "not_allowed")),
            ({"community": HERE + "-01"}, (422, "unprocessable")),
            ({"community": "x"}, (422, "unprocessable")),
            ({"name": "张*"}, (422, "unprocessable")),
            ({"name": " "}, (422, "unprocessable")),
            ({"phone": "12"}, (422, "phone_malformed")),
            ({"born": "1938-01-02"}, (422, "unprocessable")),
            ({"born": "2999-01-01"}, (422, "unprocessable")),
            ({"born": 5}, (422, "unprocessable")),
            ({"sex": "other"}, (422, "unprocessable")),
            ({"level": 3}, (422, "unprocessable")),
        ]
        for told, refusal in wrong:
            assert code_of(await ask(town, clerk, "POST", "/people", body(**told))) == refusal, told
        resident = await town.login(OTHER)
        assert code_of(await ask(town, resident, "POST", "/people", body())) == (403, "not_allowed")
        assert code_of(await town.call("POST", "/people", body())) == (401, "not_known")
        assert await town.value("SELECT count(*) FROM persons WHERE document_index IS NOT NULL") == 0

    play(database_url, scenario)


def test_two_elders_share_a_phone_and_it_logs_in_the_one_who_brought_it_first(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        first, second = [await enrolled(town, clerk, n, phone=PHONE) for n in (1, 2)]
        found = await ask(town, clerk, "POST", "/people/search", {"q": PHONE})
        assert {one["id"] for one in found.json()["items"]} == {first["id"], second["id"]}
        assert str((await town.login(PHONE)).caller.person_id) == first["id"]
        assert await town.value("SELECT count(*) FROM accounts WHERE person_id = $1", uuid.UUID(second["id"])) == 0
        child = body(3, document={"kind": "resident_id", "number": number(3, "20200101")}, phone="15400000010")
        made = (await ask(town, clerk, "POST", "/people", child)).json()
        assert await town.value("SELECT count(*) FROM accounts WHERE person_id = $1", uuid.UUID(made["id"])) == 0
        await healthy(town)

    play(database_url, scenario)


def test_a_change_needs_the_version_that_was_read(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        made = await enrolled(town, clerk)
        path = f"/people/{made['id']}"
        assert code_of(await ask(town, clerk, "PUT", path, {"name": "沈二毛"})) == (428, "condition_missing")
        changed = await ask(town, clerk, "PUT", path, {"name": "沈二毛"}, **{"if-match": made["etag"]})
        assert changed.status_code == 200
        assert changed.headers["etag"] != made["etag"]
        again = await ask(town, clerk, "PUT", path, {"name": "沈三毛"}, **{"if-match": made["etag"]})
        assert code_of(again) == (412, "changed")
        row = await town.value(
            "SELECT array[p.name, h.name] FROM persons p JOIN holders h ON h.id = p.id WHERE p.id = $1",
            uuid.UUID(made["id"]),
        )
        assert row == ["沈二毛", "沈二毛"]
        masked = {"name": (await ask(town, clerk, "GET", path)).json()["name"]}
        refused = await ask(town, clerk, "PUT", path, masked, **{"if-match": changed.headers["etag"]})
        assert code_of(refused) == (422, "unprocessable"), "a masked name is nobody's"
        await healthy(town)

    play(database_url, scenario)


def test_a_confirmed_number_is_never_overwritten_in_silence(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        made = await enrolled(town, clerk, 1)
        path, etag = f"/people/{made['id']}", {"if-match": "*"}
        seen = {"how": "at_the_desk", "document": "resident_id"}
        other = {"how": "at_the_desk", "document": "passport"}
        assert code_of(await ask(town, clerk, "POST", f"{path}/confirm", other)) == (422, "unprocessable")
        for _ in range(2):
            answer = await ask(town, clerk, "POST", f"{path}/confirm", seen)
            assert answer.json()["level"] == 3
        told = (
            "SELECT count(*) FROM notices n JOIN holders h ON n.holders = ARRAY[h.no] "
            "WHERE n.type = 'identity.person.confirmed' AND h.id = $1"
        )
        assert await town.value(told, uuid.UUID(made["id"])) == 1
        written = "SELECT data - 'id' FROM audit WHERE action = 'people.confirm' AND person_id = $1"
        assert await town.value(written, uuid.UUID(made["id"])) == seen
        new = {"document": {"kind": "resident_id", "number": number(2)}}
        assert code_of(await ask(town, clerk, "PUT", path, new, **etag)) == (409, "confirmed")
        assert code_of(await ask(town, clerk, "PUT", path, {"name": "沈二毛"}, **etag)) == (409, "confirmed")
        same = {"document": {"kind": "resident_id", "number": number(1)}, "phone": PHONE}
        kept = await ask(town, clerk, "PUT", path, same, **etag)
        assert (kept.status_code, kept.json()["level"]) == (200, 3), "a phone confirms nothing and unconfirms nothing"
        changed = await ask(town, clerk, "PUT", path, new | {"reason": "号码录错"}, **etag)
        assert (changed.status_code, changed.json()["level"]) == (200, 2)
        reason = "SELECT reason FROM audit WHERE action = 'people.change' ORDER BY no DESC LIMIT 1"
        assert await town.value(reason) == "号码录错"
        taken = await enrolled(town, clerk, 3)
        theirs = {"document": {"kind": "resident_id", "number": number(3)}}
        answer = await ask(town, clerk, "PUT", path, theirs, **etag)
        assert code_of(answer) == (409, "document_taken")
        assert answer.json()["person"]["id"] == taken["id"]
        await healthy(town)

    play(database_url, scenario)


def test_nobody_confirms_or_changes_themselves_or_their_family(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk, colleague = await appointed(town, CLERK), await appointed(town, OTHER)
        await town.execute("UPDATE holders SET community = $1", HERE)
        await town.execute("UPDATE persons SET community = $1", HERE)
        seen = {"how": "at_the_desk", "document": "resident_id"}
        mother = (await enrolled(town, clerk, 1))["id"]
        wife = (await enrolled(town, clerk, 2))["id"]
        await town.execute(
            "INSERT INTO relations (actor_id, person_id, kind) VALUES ($1, $2, 'proxy')",
            clerk.caller.person_id,
            uuid.UUID(mother),
        )
        home = await town.value("INSERT INTO households (community) VALUES ($1) RETURNING no", HERE)
        await town.execute(
            "UPDATE holders SET household_no = $1 WHERE id = ANY($2)", home, [clerk.caller.person_id, uuid.UUID(wife)]
        )
        for person in (str(clerk.caller.person_id), mother, wife):
            refused = await ask(town, clerk, "POST", f"/people/{person}/confirm", seen)
            assert code_of(refused) == (403, "own_matter")
            changed = await ask(town, clerk, "PUT", f"/people/{person}", {"name": "某某"}, **{"if-match": "*"})
            assert code_of(changed) == (403, "own_matter")
        for person in (mother, wife):
            assert (await ask(town, colleague, "POST", f"/people/{person}/confirm", seen)).status_code == 200
        unsaid = await ask(town, colleague, "POST", f"/people/{clerk.caller.person_id}/confirm", seen)
        assert code_of(unsaid) == (409, "verification_required"), "of whom no document is known, none was seen"

    play(database_url, scenario)


def test_others_people_are_not_there_and_ones_own_are_shown_in_full(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk, far = await appointed(town, CLERK), await appointed(town, OTHER, prefix=FAR)
        made = await enrolled(town, clerk, 1, name="沈阿毛", phone=PHONE)
        stranger = await town.login(THIRD)
        paths = [("GET", "", None), ("PUT", "", {"name": "某某"})]
        paths += [("POST", "/confirm", {"how": "at_home", "document": "resident_id"})]
        for who in (stranger, far):
            for person in (made["id"], str(uuid.uuid4())):
                for method, path, told in paths:
                    answer = await ask(town, who, method, f"/people/{person}{path}", told, **{"if-match": "*"})
                    assert code_of(answer) == (404, "not_there"), (method, path)
        assert (await ask(town, clerk, "GET", "/people/no-uuid")).status_code in (404, 422)
        own = await town.login(PHONE)
        assert (await ask(town, own, "GET", f"/people/{made['id']}")).json()["name"] == "沈阿毛"
        assert code_of(await ask(town, own, "PUT", f"/people/{made['id']}", {"name": "某某"}, **{"if-match": "*"})) == (
            403,
            "own_matter",
        )
        acting = ActsFor(uuid.UUID(made["id"]), 0, "", "proxy", ("elder-meals",))
        proxy = replace(stranger, caller=stranger.caller._replace(acts_for=(acting,)))
        answer = await ask(town, proxy, "GET", f"/people/{made['id']}")
        assert answer.json()["name"] == "沈阿毛"
        assert number(1) not in answer.text
        assert PHONE not in answer.text
        assert answer.headers["cache-control"] == "no-store"

    play(database_url, scenario)


def test_who_has_no_home_yet_is_found_by_number_at_every_desk(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        newcomer = await town.login(PHONE)
        found = await ask(town, clerk, "POST", "/people/search", {"q": PHONE})
        assert [one["id"] for one in found.json()["items"]] == [str(newcomer.caller.person_id)]
        assert (await ask(town, clerk, "POST", "/people/search", {"q": "新居民"})).json() == {"items": []}
        path = f"/people/{newcomer.caller.person_id}"
        told = {"name": "沈阿毛", "document": {"kind": "resident_id", "number": number(1)}}
        changed = await ask(town, clerk, "PUT", path, told, **{"if-match": "*"})
        assert (changed.status_code, changed.json()["level"]) == (200, 2)
        tie = {"kind": "resident", "community": HERE, "home": True}
        assert (await ask(town, clerk, "POST", f"{path}/places", tie)).status_code == 201
        await healthy(town)

    play(database_url, scenario)


def test_a_number_of_somebody_else_goes_to_the_staff_and_overwrites_nothing(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk, far = await appointed(town, CLERK), await appointed(town, OTHER, prefix=FAR)
        owner = await enrolled(town, clerk, 1, name="沈阿毛")
        thief = await town.login(THIRD)
        for _ in range(3):
            assert code_of(await town.real_name(thief, number(1), name="诸葛亮")) == (409, "document_taken")
        assert await town.value("SELECT count(*) FROM notices WHERE type = 'identity.conflict.opened'") == 1
        assert (await ask(town, far, "GET", "/conflicts")).json()["items"] == []
        (case,) = (await ask(town, clerk, "GET", "/conflicts?state=pending")).json()["items"]
        assert case["tries"] == 3
        assert case["owner"] == {"id": owner["id"], "name": "沈*", "phone": None}
        assert case["person"] == {"id": str(thief.caller.person_id), "name": "新*", "phone": "154****0003"}
        path = f"/conflicts/{case['id']}"
        assert code_of(await ask(town, far, "GET", path)) == (404, "not_there")
        assert code_of(await ask(town, thief, "GET", "/conflicts")) == (403, "not_allowed")
        assert code_of(await ask(town, thief, "GET", path)) == (404, "not_there")
        told = {"outcome": "unfounded", "reason": "证件为他人所有"}
        assert code_of(await ask(town, far, "POST", f"{path}/close", told)) == (404, "not_there")
        closed = await ask(town, clerk, "POST", f"{path}/close", told)
        assert closed.json()["outcome"] == "unfounded"
        assert code_of(await ask(town, clerk, "POST", f"{path}/close", told)) == (409, "conflict")
        assert (await ask(town, clerk, "GET", "/conflicts?state=pending")).json()["items"] == []
        assert (await ask(town, clerk, "GET", path)).json()["closed_at"]
        await town.real_name(thief, number(1))
        assert len((await ask(town, clerk, "GET", "/conflicts")).json()["items"]) == 2, "a new try is a new case"
        assert await town.value("SELECT level FROM persons WHERE id = $1", thief.caller.person_id) == 1
        await healthy(town)

    play(database_url, scenario)


def test_whoever_tries_from_another_region_is_looked_at_by_the_owners_desk(database_url: str) -> None:
    """Behind the walls as well: the one who tried is of no region of that desk, and it closes the case all the same."""

    async def scenario(town: Town) -> None:
        await far_away(town)
        clerk, far = await appointed(town, CLERK), await appointed(town, OTHER, prefix=FAR)
        await enrolled(town, clerk, 1)
        thief = await town.login(THIRD)
        moved = "INSERT INTO person_places (person_id, kind, community, is_home, starts_on) VALUES ($1, 'resident', $2, true, current_date)"
        await town.execute("UPDATE persons SET community = $2 WHERE id = $1", thief.caller.person_id, FAR)
        await town.execute("UPDATE holders SET community = $2 WHERE id = $1", thief.caller.person_id, FAR)
        assert await town.execute(moved, thief.caller.person_id, FAR) == 1
        assert code_of(await town.real_name(thief, number(1))) == (409, "document_taken")
        (case,) = (await ask(town, clerk, "GET", "/conflicts?state=pending")).json()["items"]
        assert (await ask(town, clerk, "GET", f"/conflicts/{case['id']}")).json() == case
        assert code_of(await ask(town, far, "GET", f"/conflicts/{case['id']}")) == (404, "not_there")
        told = {"outcome": "unfounded", "reason": "证件为他人所有"}
        assert (await ask(town, clerk, "POST", f"/conflicts/{case['id']}/close", told)).status_code == 200

    play(database_url, scenario)


def test_a_case_of_two_whose_homes_nobody_knows_is_every_desks(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        first, second = await town.login(OTHER), await town.login(THIRD)
        assert (await town.real_name(first, number(1))).status_code == 200
        assert code_of(await town.real_name(second, number(1))) == (409, "document_taken")
        (case,) = (await ask(town, clerk, "GET", "/conflicts")).json()["items"]
        assert (await ask(town, clerk, "GET", f"/conflicts/{case['id']}")).json() == case
        bound = holding(await town.login(PHONE), "staff", "33", place_id=uuid.uuid4())
        assert code_of(await ask(town, bound, "GET", f"/conflicts/{case['id']}")) == (404, "not_there")

    play(database_url, scenario)


def test_nobody_closes_the_case_they_are_in(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk, colleague = await appointed(town, CLERK), await appointed(town, OTHER)
        await enrolled(town, clerk, 1)
        assert code_of(await town.real_name(colleague, number(1))) == (409, "document_taken")
        (case,) = (await ask(town, clerk, "GET", "/conflicts")).json()["items"]
        told = {"outcome": "same_person", "reason": "x"}
        refused = await ask(town, colleague, "POST", f"/conflicts/{case['id']}/close", told)
        assert code_of(refused) == (403, "own_matter")

    play(database_url, scenario)


def test_staff_read_consents_without_whole_names(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk = await appointed(town, CLERK)
        made = await enrolled(town, clerk, 1, name="沈阿毛", phone=PHONE)
        path, own = f"/people/{made['id']}/consents", await town.login(PHONE)
        said = {"given": True, "version": 1, "channel": "paper"}
        assert (await ask(town, clerk, "PUT", f"{path}/health", said)).json()["history"][0]["person"]["name"] == "沈*"
        for who, name in ((clerk, "沈*"), (own, "沈阿毛")):
            listed = (await ask(town, who, "GET", path)).json()["items"]
            assert [one["person"]["name"] for item in listed for one in item["history"]] == [name]

    play(database_url, scenario)


def test_phones_of_before_the_index_are_found_after_the_task(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        from services.identity import actions  # noqa: PLC0415 - the task's own uses

        await far_away(town)
        clerk = await appointed(town, CLERK)
        made = await enrolled(town, clerk, 1, phone="0573-83641234")
        await town.execute("UPDATE persons SET phone_index = NULL")
        await town.execute("DELETE FROM person_places")
        assert (await ask(town, clerk, "POST", "/people/search", {"q": "057383641234"})).json()["items"] == []
        as_identity = town.root.of("linli_identity")
        assert await as_identity.run(actions.desk.index_phones, town.keys) == 2  # the clerk's own, too
        assert await as_identity.run(actions.places.find_homes) == 1
        assert await as_identity.run(actions.places.find_homes) == 0
        found = await ask(town, clerk, "POST", "/people/search", {"q": "057383641234"})
        assert [one["id"] for one in found.json()["items"]] == [made["id"]]
        await healthy(town)

    play(database_url, scenario)


def test_whoever_lost_their_phone_is_logged_out_at_the_desk(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        clerk, manager = await appointed(town, CLERK), await appointed(town, OTHER, "manager", "330411105")
        made = await enrolled(town, clerk, 1, phone=PHONE)
        path = f"/people/{made['id']}/sessions"
        assert (await ask(town, clerk, "DELETE", path)).status_code == 204, "nobody has logged in yet"
        theirs, again = await town.login(PHONE), await town.login(PHONE)
        stranger = await appointed(town, THIRD, "staff", FAR)
        assert code_of(await ask(town, stranger, "DELETE", path)) == (404, "not_there")
        assert code_of(await ask(town, theirs, "DELETE", path)) == (403, "own_matter"), "they have a way of their own"
        assert code_of(await ask(town, clerk, "DELETE", f"/people/{clerk.caller.person_id}/sessions"))[0] == 403
        assert (await town.call("DELETE", path)).status_code == 401
        assert [(await town.refresh(one.refresh)).status_code for one in (theirs, again)] == [200, 200]
        assert (await ask(town, manager, "DELETE", path)).status_code == 204
        assert (await ask(town, manager, "DELETE", path)).status_code == 204, "the same again changes nothing"
        for one in (theirs, again):
            assert (await town.refresh(one.refresh)).status_code == 401
        assert (await town.refresh(manager.refresh)).status_code == 200
        assert await town.value("SELECT count(*) FROM audit WHERE action = 'people.log_out'") == 1
        new = await town.login(PHONE)
        ledger = (await ask(town, new, "GET", "/me/ledger")).json()["items"]
        assert "people.log_out" in [one["action"] for one in ledger]
        await healthy(town)

    play(database_url, scenario)
