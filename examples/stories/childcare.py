"""A rainy afternoon: a grandparent collects a child from the children's room, and somebody else does not."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

ROOM = "沈荡社区儿童之家"
TOWN = timezone(timedelta(hours=8))


def story(town: Any) -> None:
    mother, carer = town.as_("child-parent"), town.as_("carer")
    grandfather, outsider = town.as_("elder").id, town.as_("outsider").id
    child = mother.acts_for()

    town.say("How many are inside is public; who they are, only the carers see.")
    rooms = town.as_("anybody").get("/v1/childcare/rooms")["items"]
    room = f"/v1/childcare/rooms/{next(one['id'] for one in rooms if one['name'] == ROOM)}"
    town.as_("anybody").get(f"{room}/now")

    town.say(
        "It begins to rain. The mother looks for a session that begins soon; the answer says whether her boy may come."
    )
    slots = mother.get("/v1/slots", service="childcare", facility=room.rsplit("/", 1)[1], limit=50, **{"for": child})
    soon = datetime.now(TOWN) + timedelta(minutes=15)
    offers = [one for one in slots["items"] if one["bookable"] and datetime.fromisoformat(one["starts_at"]) <= soon]
    if not offers:
        town.say("He has a visit already, of a story told a moment ago. The story ends here.")
        return
    slot = offers[0]["id"]

    town.say(
        "The mother agrees that what is about his health is kept, and says what the carers must know. It is sealed."
    )
    version = next(one["version"] for one in mother.get("/v1/identity/purposes")["items"] if one["code"] == "health")
    yes = {"given": True, "version": version}
    mother.put(f"/v1/identity/people/{child}/consents/health", yes, headers={"If-Match": "*"})
    about = f"/v1/childcare/children/{child}"
    mother.put(
        about,
        {
            "allergies": ["花生"],
            "notes": "怕打雷",
            "contacts": [{"name": "陈美华", "phone": "154 0000 0004", "relation": "母亲"}],
        },
    )

    town.say("The grandfather may collect the boy. One man never may, whatever anybody else says.")
    mother.post(f"{about}/collectors", {"kind": "allowed", "person_id": grandfather, "note": "爷爷"})
    mother.post(f"{about}/collectors", {"kind": "never", "person_id": outsider})

    town.say("She books for her boy, who is dropped off. To a neighbour there is no such visit.")
    visit = mother.post("/v1/childcare/visits", {"slot_id": slot, "persons": [child], "stays": False})
    door, code = visit["href"], mother.get(f"{visit['href']}/pass", person=child)["code"]
    town.as_("neighbour").get(door, expect=404)

    town.say("The carer is on duty; without one nobody comes in.")
    if town.as_("anybody").get(f"{room}/now")["carers"] == 0:
        carer.post(f"{room}/carers", _told(person="self", inside=True))

    town.say("At the door a wrong code opens nothing; the mother's does.")
    wrong = f"{(int(code) + 1) % 10**8:08}"
    carer.post(f"{door}/sign-in", _told(person=child, code=wrong), expect=403)
    carer.post(f"{door}/sign-in", _told(person=child, code=code))
    carer.get(f"{room}/now")

    town.say("Now the carer may read about the boy. That she did is written down, and the mother sees it.")
    carer.get(about)
    mother.get(f"{about}/reads")

    town.say("He bumps his knee. The carer writes it down, nobody can change it, and the mother reads it, too.")
    carer.post("/v1/childcare/incidents", _bump(room, child))
    mother.get("/v1/childcare/incidents", child=child, limit=1)

    town.say("The man who may never collect him stands at the door, and goes without him.")
    carer.post(f"{door}/sign-out", _told(person=child, collector=outsider), expect=403)

    town.say("The grandfather takes him home. The mother can read who brought and who collected him, and who tried.")
    carer.post(f"{door}/sign-out", _told(person=child, collector=grandfather))
    mother.get(f"{about}/handovers")
    _evening(town, carer, room)


def _evening(town: Any, carer: Any, room: str) -> None:
    town.say("What happens in a room, those who work there hear as notices, without a name.")
    carer.get("/v1/notices", place=room.rsplit("/", 1)[1], limit=5, wait=5)

    town.say("The carer counts: the room is empty, and closed.")
    closed = carer.post(f"{room}/count", _told(count=0))
    assert closed["closed"], closed
    carer.post(f"{room}/carers", _told(person="self", inside=False))


def _bump(room: str, child: str) -> dict[str, Any]:
    """What a carer writes down."""
    text = "膝盖轻微磕碰，已冷敷"
    return _told(room=room.rsplit("/", 1)[1], severity="minor", text=text, persons=[child])


def _told(**more: Any) -> dict[str, Any]:
    """What a device sends: with an id of its own, and when it happened."""
    return {"id": str(uuid.uuid4()), "at": datetime.now(TOWN).isoformat(), **more}
