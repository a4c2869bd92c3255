"""Facilities of the demo town."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from services.cli.town.places import found, line, policy
from shared.crypto import Keyring
from shared.db import Tx

PLACES: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "王店镇全民健身中心",
        "name_en": "Wangdian Fitness Centre",
        "kind": "fitness_centre",
        "community": "330411105003",
        "address": "王店镇解放社区",
        "lat": 30.6261,
        "lon": 120.7196,
        "resources": [("健身大厅", "Gym", 30), *((f"羽毛球{n}号场", f"Badminton {n}", 4) for n in (1, 2, 3, 4))],
        "lines": [
            line("健身大厅", "06:00", "22:00", 60, "健身"),
            *(line(f"羽毛球{n}号场", "08:00", "22:00", 60, "羽毛球") for n in (1, 2, 3, 4)),
        ],
        "policy": policy(["330411105"], offline_share=4, offline_minutes=120),
    },
    {
        "name": "王店镇游泳馆",
        "name_en": "Wangdian Swimming Hall",
        "kind": "fitness_centre",
        "community": "330411105003",
        "address": "王店镇解放社区",
        "lat": 30.6258,
        "lon": 120.7201,
        "resources": [("泳池", "Pool", 100)],
        "lines": [line("泳池", "09:00", "21:00", 120, "游泳")],
        "policy": policy(["330411105"], release={"days_ahead": 2, "at": "08:00"}),
    },
    {
        "name": "沈荡邻里中心",
        "name_en": "Shendang Neighbourhood Centre",
        "kind": "neighbourhood_centre",
        "community": "330424101003",
        "address": "沈荡镇沈荡社区",
        "lat": 30.5797,
        "lon": 120.8253,
        "resources": [("活动室", "Activity Room", 20)],
        "lines": [line("活动室", "09:00", "17:00", 120, "活动")],
        "policy": policy(["330424101"]),
    },
    {
        "name": "茶园社区共享办公",
        "name_en": "Chayuan Shared Office",
        "kind": "shared_office",
        "community": "330411004010",
        "address": "塘汇街道茶园社区",
        "lat": 30.7986,
        "lon": 120.7387,
        "resources": [("共享工位", "Desks", 24), ("会议室", "Meeting Room", 10)],
        "lines": [
            line("共享工位", "08:30", "20:30", 240, "共享办公"),
            line("会议室", "08:30", "20:30", 60, "会议"),
        ],
        "policy": policy(["330411004"]),
    },
)


async def build(tx: Tx, keys: Keyring, people: Mapping[str, uuid.UUID]) -> None:  # noqa: ARG001 - as every part
    """The fitness centre, the swimming hall, and two houses for everybody."""
    for place in PLACES:
        await found(tx, "booking", place)
