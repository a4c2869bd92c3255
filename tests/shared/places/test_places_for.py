"""Places for somebody: as far as region and guardianship tell, and nothing of anybody's age."""

from __future__ import annotations

import uuid
from typing import Any

from shared.assertion import ActsFor, Caller
from shared.db import Tx
from tests.shared.places.conftest import COMMUNITY, ELSEWHERE, TOWN, Town
from tests.shared.places.test_places_actions import Tell, code


async def _holder(tx: Tx, name: str, community: str) -> Any:
    return await tx.row(
        "INSERT INTO holders (id, kind, name, community) VALUES (uuidv7(), 'person', $1, $2) RETURNING id, no",
        name,
        community,
    )


async def a_hall(town: Town, name: str, **audience: Any) -> None:
    place_id = await town.place(name=name)
    assert (await town.put(f"/{place_id}/policy", {"audience": audience}, 1)).status_code == 200


def test_places_are_found_for_whom_the_caller_may_act(tell: Tell) -> None:
    async def story(town: Town) -> None:
        await a_hall(town, "everybody", min_age=60, level=2)
        await a_hall(town, "here", regions=[ELSEWHERE, TOWN])
        await a_hall(town, "there", regions=[ELSEWHERE])
        await a_hall(town, "children", needs_guardian=True)
        await town.owner.run(
            Tx.execute,
            "INSERT INTO places (service, kind, name, community, lat, lon) VALUES ('booking', 'hall', 'old', $1, 30.62, 120.72)",
            COMMUNITY,
        )
        me = await town.owner.run(_holder, "我", COMMUNITY)
        child = await town.owner.run(_holder, "孩子", COMMUNITY)
        elder = await town.owner.run(_holder, "奶奶", ELSEWHERE)
        other = await town.owner.run(_holder, "爷爷", ELSEWHERE)
        who = Caller(
            account_id=uuid.uuid4(),
            account_no=9,
            person_id=me["id"],
            holder_no=me["no"],
            acts_for=(
                ActsFor(child["id"], child["no"], "孩子", "guardian"),
                ActsFor(elder["id"], elder["no"], "奶奶", "proxy", ("booking",)),
                ActsFor(other["id"], other["no"], "爷爷", "proxy", ("elder-meals",)),
            ),
        )

        async def found(person: uuid.UUID, more: str = "") -> set[str]:
            answer = await town.call("GET", f"?for={person}{more}", who)
            assert answer.status_code == 200, answer.text
            return {one["name"] for one in answer.json()["items"]}

        assert await found(me["id"]) == {"everybody", "here", "old"}
        assert await found(child["id"]) == {"everybody", "here", "children", "old"}
        assert await found(elder["id"]) == {"everybody", "here", "there", "old"}
        near = "&near=30.62,120.72"
        assert await found(child["id"], near) == {"everybody", "here", "children", "old"}
        assert await found(me["id"], near + "&limit=2") <= {"everybody", "here", "old"}
        assert code(await town.call("GET", f"?for={other['id']}", who)) == (403, "not_yours")
        assert code(await town.call("GET", f"?for={uuid.uuid4()}", who)) == (403, "not_yours")
        assert code(await town.call("GET", f"?for={me['id']}", town.anybody)) == (401, "not_known")
        assert code(await town.call("GET", "?for=me", who)) == (422, "unprocessable")
        everything = (await town.call("GET", "", town.anybody)).json()["items"]
        assert len(everything) == 5

    tell(story)
