"""A festival with two seats: a family waits until there are two together, and their calendar shows it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

HALL, COMMUNITY = "茶园社区文化礼堂", "330411004010"
REGISTRATIONS = "/v1/events/registrations"


def story(town: Any) -> None:
    anybody, organiser = town.as_("anybody"), town.as_("organiser")
    resident, neighbour, parent = town.as_("resident"), town.as_("neighbour"), town.as_("child-parent")

    town.say(
        "The committee books the culture hall for two hours: a venue is scarce, so it is claimed like anything else."
    )
    slots = anybody.get("/v1/slots", service="booking", community=COMMUNITY, limit=500)["items"]
    hours = [one for one in slots if one["facility"]["name"] == HALL and one["free"] and one["state"] == "open"]
    first, second = next((one, two) for two, one in pairwise(reversed(hours)) if one["ends_at"] == two["starts_at"])
    hall = organiser.post("/v1/booking/reservations", {"slot_ids": [first["id"], second["id"]], "holder": COMMUNITY})

    town.say(
        "A festival is drafted, with that claim as its venue, and published. The same claim serves no second event."
    )
    festival = {
        "title": "社区茶会",
        "title_en": "Tea party",
        "text": "两席，先到先得。",
        "community": COMMUNITY,
        "seats": 2,
        "sessions": [{"starts_at": first["starts_at"], "ends_at": second["ends_at"]}],
        "venue_group_id": hall["group_id"],
        "questions": [{"id": "tea", "text": "喝什么茶？", "kind": "choice", "options": ["龙井", "菊花"]}],
    }
    event = organiser.post("/v1/events/events", festival)
    published = organiser.post(f"/v1/events/events/{event['id']}/publish")
    again = organiser.post("/v1/events/events", festival)
    organiser.post(f"/v1/events/events/{again['id']}/publish", expect=409)

    town.say("Two neighbours take the seats. An answer that is none costs nothing.")
    seat = {"slot_id": published["sessions"][0]["slot_id"]}
    resident.post(REGISTRATIONS, seat | {"answers": [{"question": "tea", "value": "咖啡"}]}, expect=422)
    his = resident.post(REGISTRATIONS, seat | {"answers": [{"question": "tea", "value": "龙井"}]})
    hers = neighbour.post(REGISTRATIONS, seat)

    town.say("A mother and her son want to come together or not at all: they wait.")
    family = [parent.id, parent.acts_for()]
    waiting = parent.post(REGISTRATIONS, seat | {"persons": family, "if_full": "wait"}, expect=202)
    calendar = "/" + parent.post("/v1/events/calendar")["url"].split("/", 3)[3]
    before = anybody.get(calendar).count("BEGIN:VEVENT")

    town.say("One seat comes free. That is no seat for two, and they keep their place on the list.")
    resident.delete(his["href"], reason="临时有事")
    parent.get(waiting["href"])

    town.say("The second comes free: now they are in, both of them, without asking again.")
    neighbour.delete(hers["href"], reason="感冒了")
    town.until(lambda: parent.get(waiting["href"])["state"] == "confirmed")

    town.say("Their calendar shows it by itself; it has no login, only an address that nobody guesses.")
    assert anybody.get(calendar).count("BEGIN:VEVENT") == before + 2
