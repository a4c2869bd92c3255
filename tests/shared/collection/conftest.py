"""A town with reservations, straight into the tables."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from shared import clock, embedded
from tests.conftest import copy_of
from tests.town import Resident, Town


class Booked:
    """A town in which people have places."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.town = Town(url)

    def make(self, maker: Resident, people: list[Resident], slots: list[uuid.UUID]) -> uuid.UUID:
        """A confirmed reservation of all these people in all these slots; its id."""
        resource_id, group_id = clock.uuid7(), clock.uuid7()
        for slot in slots:
            for one in people:
                self.town.do(
                    "INSERT INTO claims (id, group_id, slot_id, holder_no, account_no, community, service, place_id,"
                    " starts_at, ends_at, channel, state, is_active, is_exclusive, resource_id)"
                    " SELECT %s, %s, id, %s, %s, community, service, place_id, starts_at, ends_at, 'app', 'confirmed',"
                    " true, true, %s FROM slots WHERE id = %s",
                    clock.uuid7(),
                    group_id,
                    one.holder_no,
                    maker.account_no,
                    resource_id,
                    slot,
                )
                self.town.do("UPDATE slots SET taken = taken + 1 WHERE id = %s", slot)
        self.town.do(
            "INSERT INTO reservations (id, group_id, place_id, community, account_no, note, starts_at)"
            " SELECT %s, %s, place_id, community, %s, 'seen', min(starts_at) OVER () FROM slots WHERE id = ANY(%s) LIMIT 1",
            resource_id,
            group_id,
            maker.account_no,
            slots,
        )
        return resource_id

    def states(self, resource_id: uuid.UUID) -> list[Any]:
        """State of each claim of a reservation."""
        rows = self.town.all("SELECT state FROM claims WHERE resource_id = %s ORDER BY id", resource_id)
        return [row[0] for row in rows]


@pytest.fixture(scope="module")
def booked(server: embedded.Embedded, template: str) -> Iterator[Booked]:
    """One town for all tests of a module: each brings its own people."""
    with copy_of(server, template) as url:
        yield Booked(url)
