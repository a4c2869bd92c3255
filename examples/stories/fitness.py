"""An evening at the fitness centre: found, booked, shown at the door, given back."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

TOWN = timezone(timedelta(hours=8))


def story(town: Any) -> None:
    anybody, resident, neighbour = town.as_("anybody"), town.as_("resident"), town.as_("neighbour")

    town.say("What is free from tomorrow on is public.")
    tomorrow = datetime.combine(datetime.now(TOWN).date() + timedelta(days=1), datetime.min.time(), TOWN)
    asked = {"service": "booking", "community": "330411105", "from": tomorrow.isoformat(), "limit": 200}
    anybody.get("/v1/slots", **asked)

    town.say("The resident asks for himself: the answer says what he may book.")
    slots = resident.get("/v1/slots", **asked)["items"]
    gym = next(one for one in slots if one["title"] == "健身" and one["bookable"])

    town.say("He books with a key of his own. The same key again is the same reservation, never a second one.")
    body, key = {"slot_id": gym["id"], "note": "羽毛球拍自带"}, uuid.uuid4().hex
    mine = resident.post("/v1/booking/reservations", body, key=key)
    again = resident.post("/v1/booking/reservations", body, key=key)
    assert again["id"] == mine["id"]

    town.say("His pass opens the gate, also when the gate has no network.")
    resident.get(f"{mine['href']}/pass")

    town.say("To the neighbour there is no such reservation.")
    neighbour.get(mine["href"], expect=404)

    town.say("Something came up: he gives the place back, and it is free at once.")
    resident.delete(mine["href"], reason="临时有事")
    resident.hears("booking.reservation.cancelled", group_id=mine["group_id"])
