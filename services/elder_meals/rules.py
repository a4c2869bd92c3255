"""What a meal costs and why, who can eat what, which way a courier goes, and what is due when nobody opens a door.

Money is whole fen. Nothing here knows a clock, a database or a person's name.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, get_args

Allergen = Literal[
    "gluten",
    "crustacean",
    "egg",
    "fish",
    "peanut",
    "soy",
    "milk",
    "nut",
    "celery",
    "mustard",
    "sesame",
    "sulphite",
    "lupin",
    "shellfish",
]
"""What must be named by name; molluscs are `shellfish`."""
Texture = Literal["normal", "soft", "minced", "liquid"]
"""From what needs teeth to what needs none: who needs one of these can eat it and what comes after it."""
Diet = Literal["low_salt", "low_sugar", "low_oil", "low_purine", "diabetic", "halal", "vegetarian", "no_pork"]
"""Marks of a dish; an elder's diet asks for some of them in every dish."""
Ending = Literal["delivered", "to_neighbour", "refused", "unanswered"]
"""What can happen at a door."""
Doing = Literal["called", "contact_reached", "knocked", "neighbour", "on_site", "emergency_staff_decision"]
"""What can be done when nobody opens. An ambulance is called by a person who decided so, never by the system."""
Closing = Literal["safe_home", "safe_out", "safe_asleep", "hospital", "emergency", "deceased", "false_alarm"]
"""How a welfare check ends."""
ALLERGENS: Final = get_args(Allergen)
TEXTURES: Final = get_args(Texture)
DIETS: Final = get_args(Diet)
FINAL: Final = frozenset({"delivered", "to_neighbour", "refused"})
"""Outcomes after which nothing more happens to a meal."""


class Needs(NamedTuple):
    """What an elder can eat."""

    diets: frozenset[str] = frozenset()
    allergens: frozenset[str] = frozenset()
    texture: str = "normal"


class Dish(NamedTuple):
    """What is in a dish and what it costs."""

    id: uuid.UUID
    name: str
    price_fen: int
    allergens: frozenset[str] = frozenset()
    diets: frozenset[str] = frozenset()
    texture: str = "normal"


def conflicts(dish: Dish, needs: Needs) -> list[str]:
    """Why an elder with these needs must not be given this dish, as codes; none when it suits them."""
    found = [f"allergen_{one}" for one in sorted(dish.allergens & needs.allergens)]
    found += [f"diet_{one}" for one in sorted(needs.diets - dish.diets)]
    if TEXTURES.index(dish.texture) < TEXTURES.index(needs.texture):
        found.append(f"texture_{needs.texture}")
    return found


def dish_of_the_day(menu: Iterable[Dish], needs: Needs) -> Dish | None:
    """The first dish of a menu that suits an elder."""
    return next((dish for dish in menu if not conflicts(dish, needs)), None)


class Tier(NamedTuple):
    """From this age, so many percent of a portion or so many fen are paid for the elder."""

    from_age: int
    percent: int | None = None
    amount_fen: int | None = None


class Pricing(NamedTuple):
    """How a kitchen's public money is shared out; None of `regions` is everybody."""

    tiers: tuple[Tier, ...] = ()
    cap_fen: int | None = None
    regions: tuple[str, ...] | None = None
    delivery_fee_fen: int = 0


class Wish(NamedTuple):
    """So many portions at this price each."""

    portions: int
    price_fen: int


class Priced(NamedTuple):
    """What one line costs, what is paid for the elder, what the elder pays, and why."""

    price_fen: int
    subsidy_fen: int
    pay_fen: int
    why: Mapping[str, Any]


def tier_of(tiers: Iterable[Tier], band: int) -> Tier | None:
    """The tier of somebody who is at least `band` years old."""
    return max((one for one in tiers if one.from_age <= band), key=lambda one: one.from_age, default=None)


def subsidy_of(price_fen: int, tier: Tier, cap_fen: int | None) -> int:
    """What is paid for one portion: never more than it costs. A part of a fen is not paid."""
    wanted = price_fen * tier.percent // 100 if tier.percent is not None else tier.amount_fen or 0
    return max(0, min(wanted, price_fen, price_fen if cap_fen is None else cap_fen))


def priced(wishes: Sequence[Wish], band: int | None, community: str, pricing: Pricing) -> list[Priced]:
    """What an order costs, line by line.

    One portion of a meal is subsidised: the one for which most is paid, the first of equals. Everything else is paid by
    the elder. `band` is the lower bound of the elder's five-year age band; None when the age is not known.
    """
    denied = None
    tier = tier_of(pricing.tiers, band) if band is not None else None
    if not pricing.tiers:
        denied = "no_subsidy"
    elif band is None:
        denied = "age_unknown"
    elif pricing.regions is not None and not community.startswith(pricing.regions):
        denied = "not_resident"
    elif tier is None:
        denied = "below_age"
    if denied is not None or tier is None:
        return [_paid(one, 0, _why(denied or "below_age")) for one in wishes]
    offers = [subsidy_of(one.price_fen, tier, pricing.cap_fen) for one in wishes]
    best = max(range(len(wishes)), key=lambda n: (offers[n], -n), default=0)
    found = []
    for n, one in enumerate(wishes):
        if n == best:
            found.append(_paid(one, offers[n], _why("tier", tier, pricing.cap_fen)))
        else:
            found.append(_paid(one, 0, _why("one_portion_per_meal")))
    return found


def _why(code: str, tier: Tier | None = None, cap_fen: int | None = None) -> Mapping[str, Any]:
    return {
        "code": code,
        "from_age": tier.from_age if tier else None,
        "percent": tier.percent if tier else None,
        "amount_fen": tier.amount_fen if tier else None,
        "cap_fen": cap_fen,
    }


def _paid(wish: Wish, subsidy_fen: int, why: Mapping[str, Any]) -> Priced:
    price = wish.portions * wish.price_fen
    return Priced(price, subsidy_fen, price - subsidy_fen, why)


def delivers_to(region: str, area: Sequence[str] | None) -> bool:
    """Whether a kitchen goes there; no area is everywhere."""
    return area is None or region.startswith(tuple(area))


class Rung(NamedTuple):
    """So many minutes after nobody opened, this is to be done."""

    after_minutes: int
    step: str


LADDER: Final = (
    Rung(0, "called"),
    Rung(5, "contact_reached"),
    Rung(15, "neighbour"),
    Rung(30, "on_site"),
    Rung(45, "emergency_staff_decision"),
)
"""What is done after nobody opened, where a kitchen's terms say nothing else."""


class Terms(NamedTuple):
    """A kitchen's terms: where it goes, who pays what, and what is done at a closed door."""

    version: int = 0
    area: tuple[str, ...] | None = None
    pricing: Pricing = Pricing()
    ladder: tuple[Rung, ...] = LADDER
    neighbour_allowed: bool = True


def terms_of(version: int, body: Mapping[str, Any]) -> Terms:
    """Terms as they are stored; what is missing is the default."""
    subsidy = body.get("subsidy") or {}
    area, regions, ladder = body.get("area"), subsidy.get("residents_of"), body.get("ladder")
    tiers = tuple(
        Tier(one["from_age"], one.get("percent"), one.get("amount_fen")) for one in subsidy.get("tiers") or ()
    )
    return Terms(
        version,
        tuple(area) if area is not None else None,
        Pricing(
            tiers,
            subsidy.get("cap_fen"),
            tuple(regions) if regions is not None else None,
            body.get("delivery_fee_fen") or 0,
        ),
        ladder_of(ladder) if ladder is not None else LADDER,
        body.get("neighbour_allowed", True),
    )


def ladder_of(body: Iterable[Mapping[str, Any]]) -> tuple[Rung, ...]:
    """A ladder as it is stored."""
    return tuple(Rung(one["after_minutes"], one["step"]) for one in body)


def due(ladder: Sequence[Rung], opened_at: datetime, rung: int) -> datetime | None:
    """When the rung of this number is due; None above the ladder."""
    return opened_at + timedelta(minutes=ladder[rung].after_minutes) if rung < len(ladder) else None


def next_rung(ladder: Sequence[Rung], rung: int, done: Iterable[str]) -> int:
    """The first rung from this one on that nobody has done; the ladder's length above it.

    Each thing done stands for the lowest rung that asks for it, so a ladder may ask for two calls.
    """
    left = list(done)
    for n, one in enumerate(ladder):
        if one.step in left:
            left.remove(one.step)
        elif n >= rung:
            return n
    return len(ladder)


class Door(NamedTuple):
    """A door to go to."""

    key: uuid.UUID
    region: str
    address: str
    at: tuple[float, float] | None


def tour(doors: Iterable[Door], start: tuple[float, float] | None) -> list[Door]:
    """Doors in an order to walk: region by region; inside one the nearest next, or by address as people read numbers.

    Doors without a position follow those of their region that have one.
    """
    left = sorted(doors, key=lambda one: (one.region, _natural(one.address), one.key))
    found: list[Door] = []
    here = start
    for region in dict.fromkeys(one.region for one in left):
        placed = [one for one in left if one.region == region and one.at is not None]
        while placed:
            nearest = min(placed, key=lambda one: 0.0 if here is None else metres(here, one.at or here))
            placed.remove(nearest)
            found.append(nearest)
            here = nearest.at
        found += [one for one in left if one.region == region and one.at is None]
    return found


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Number 9 before number 10."""
    parts = re.findall(r"[0-9]{1,9}|[^0-9]+", text)
    return [(0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in parts]


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """As the crow flies, near enough for a town."""
    north = (one[0] - other[0]) * 111_200
    east = (one[1] - other[1]) * 111_200 * math.cos(math.radians(one[0]))
    return math.hypot(north, east)


def shares(stops: Sequence[Door], couriers: int) -> list[list[Door]]:
    """A way cut into as many pieces as there are couriers, alike in length; none is empty."""
    pieces = max(1, min(couriers, len(stops)))
    size, more = divmod(len(stops), pieces)
    found, at = [], 0
    for n in range(pieces):
        end = at + size + (1 if n < more else 0)
        found.append(list(stops[at:end]))
        at = end
    return found


def masked(phone: str | None) -> str | None:
    """A phone number that can be recognised, not called by strangers."""
    if phone is None:
        return None
    digits = re.sub(r"\D", "", phone)
    return f"{digits[:3]}****{digits[-4:]}" if len(digits) >= 10 else "****" + digits[-2:]


AWAY: Final = "away"
ENDED: Final = "ended"
"""Why a day of a standing order was left out although it had begun; in both cases its elder knows, and nobody is told."""


def meal_days(first: date, days: int, weekdays: Collection[int], starts_on: date, until: date | None) -> list[date]:
    """The days of a standing order among the next ones."""
    ahead = (first + timedelta(days=n) for n in range(days))
    return [day for day in ahead if day.weekday() in weekdays and starts_on <= day and (until is None or day <= until)]


def is_passing(status: int, code: str | None) -> bool:
    """Whether a refusal may be another one in a minute: too many asks, a service that is away, an ask under way."""
    return status in (408, 425, 429) or status >= 500 or code in ("in_flight", "held", "not_open_yet")
