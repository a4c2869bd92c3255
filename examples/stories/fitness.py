"""An evening at the fitness centre: found, booked, shown at the door, given back."""

from __future__ import annotations

from typing import Any


def story(town: Any) -> None:
    anybody, resident, neighbour = town.as_("anybody"), town.as_("resident"), town.as_("neighbour")

    town.say("What is free tomorrow is public.")
    slots = anybody.get("/v1/slots", service="booking", community="330411105", limit=200)["items"]
    gym = next(one for one in slots if one["title"] == "健身" and one["free"] > 2)

    town.say("The resident asks for himself: the answer says whether he may.")
    resident.get(f"/v1/slots/{gym['id']}")

    town.say("He books with a key of his own. The same key again is the same reservation, never a second one.")
    body, key = {"slot_id": gym["id"], "note": "羽毛球拍自带"}, f"story-{gym['id']}"
    mine = resident.post("/v1/booking/reservations", body, key=key)
    again = resident.post("/v1/booking/reservations", body, key=key)
    assert again["id"] == mine["id"]

    town.say("His pass opens the gate, also when the gate has no network.")
    resident.get(f"{mine['href']}/pass")

    town.say("To the neighbour there is no such reservation.")
    neighbour.get(mine["href"], expect=404)

    town.say("Something came up: he gives the place back, and it is free at once.")
    resident.delete(mine["href"], reason="临时有事")
    town.until(lambda: "booking.reservation.cancelled" in [one["type"] for one in _told(resident)])


def _told(person: Any) -> list[dict[str, Any]]:
    """Everything a person was told, page by page."""
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        page = person.get("/v1/notices", after=after, limit=500)
        found += page["items"]
        if not page["items"]:
            return found
        after = page["next"]
