"""What events announces is what it says that it announces."""

from __future__ import annotations

import pytest

from services.events import notices
from shared.notices import NoticeType
from shared.texts import is_bilingual
from tests.events.hall import Day


@pytest.mark.parametrize("kind", notices.TYPES, ids=lambda kind: kind.name)
def test_a_type_has_an_example_and_both_languages(kind: NoticeType) -> None:
    assert kind.data.model_validate(kind.example)
    assert is_bilingual(kind.subject)
    assert is_bilingual(kind.about)


def test_what_is_announced_has_the_form_of_its_type(day: Day) -> None:
    """After a day of everything, made here as far as no other test has."""
    (who,) = day.town.residents()
    event = day.festival(9, days=29)
    made = day.register(who, event).json()
    day.ask("DELETE", made["href"], who)
    day.put(event, seats=3)
    day.ask("POST", f"/v1/events/events/{event['id']}/cancel", day.staff, json={"reason": "x"})
    types = {kind.name: kind for kind in notices.TYPES}
    rows = day.town.all("SELECT DISTINCT ON (type, subject) type, data FROM notices WHERE starts_with(type, 'events.')")
    assert {row[0] for row in rows} >= set(types) - {"events.claim.released", "events.event.venue_lost"}
    for name, data in rows:
        types[name].data.model_validate(data)
