"""Orders: recorded many at a time, each whole or not at all, with what they cost and why."""

from __future__ import annotations

import uuid
from base64 import b64encode
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Any, NamedTuple

from services.elder_meals import notices, rules
from services.elder_meals.actions import KITCHEN, acts_for
from services.elder_meals.actions.sealing import HEALTH, is_about_health, needs_of, readable, seal, unseal
from services.elder_meals.rules import Terms, Wish
from services.elder_meals.sql import dishes
from services.elder_meals.sql import orders as sql
from shared import audit, claiming, clock, consents, errors
from shared.assertion import Caller
from shared.claims import Group
from shared.crypto import Keyring
from shared.db import Tx
from shared.grants import Grant
from shared.line import SKIPPED, Answer, Skip
from shared.notices import announce
from shared.places import sql as places


class Making(NamedTuple):
    """A granted group that is to become an order; its window is the grant's first slot."""

    grant: Grant
    account_no: int
    id: uuid.UUID
    lines: tuple[tuple[uuid.UUID, int], ...]
    deliver_to: Mapping[str, Any] | None = None
    is_collected: bool = False
    diet: tuple[str, ...] | None = None
    note: str | None = None
    is_for_another: bool = False
    """Whether somebody else ordered it in the app: whether they may, and their cap, is looked up."""

    @property
    def day(self) -> date:
        """The day of the meal."""
        return clock.local(self.grant.slots[0].starts_at).date()


class _Decided(NamedTuple):
    """An order that may be written."""

    terms: Terms
    lines: list[rules.Priced]
    sums: tuple[int, int, int, int]
    """Price, subsidy, fee and what is to be paid."""
    said: dict[str, Any]


class _Known(NamedTuple):
    """What is known for a list of orders, with one question a table."""

    dishes: Mapping[uuid.UUID, Any]
    recipes: Mapping[uuid.UUID, rules.Dish]
    terms: Mapping[uuid.UUID, Terms]
    elders: Mapping[int, Any]
    consenting: AbstractSet[uuid.UUID]
    nowhere: AbstractSet[str]
    """Regions of doors that there are not."""


async def make_orders(
    tx: Tx, several: Sequence[Making], *, skip_locked: bool, keys: Keyring
) -> list[Answer[dict[str, Any]]]:
    """Decide granted groups, confirm those that may be, write their orders and announce them.

    What an order hears is its own fields, as they will be read.
    """
    known = await _look(tx, several)
    decided = [_decide(keys, one, known) for one in several]
    refused = await _may_be(tx, several, decided, skip_locked=skip_locked)
    made, answers = await claiming.confirm(tx, several, refused, skip_locked=skip_locked)
    by_id = {one.id: what for one, what in zip(several, decided, strict=True) if isinstance(what, _Decided)}
    nos = await _write(tx, keys, [(one, by_id[one.id]) for one in made]) if made else {}
    heard: list[Answer[dict[str, Any]]] = []
    for one, answer in zip(several, answers, strict=True):
        if isinstance(answer, uuid.UUID):
            heard.append(_told(one, by_id[one.id], nos[one.id], known))
        else:
            heard.append(answer)
    return heard


async def _look(tx: Tx, several: Sequence[Making]) -> _Known:
    people = {one.grant.claims[0].holder_no: one.grant.claims[0].person_id for one in several}
    known, ordered = await sql.elders_and_dishes(tx, people, {dish_id for one in several for dish_id, _ in one.lines})
    told = [people[no] for no, row in known.items() if row["sealed"] is not None]
    doors = {one.deliver_to["region"] for one in several if one.deliver_to is not None}
    terms = {row["place_id"]: (row["terms_version"] or 0, row["terms"] or {}) for row in ordered.values()}
    return _Known(
        ordered,
        {one: dishes.dish_of(row) for one, row in ordered.items()},
        {one: rules.terms_of(*said) for one, said in terms.items()},
        known,
        await consents.given(tx, told, HEALTH) if told else frozenset(),
        frozenset(await places.unknown_regions(tx, list(doors))) if doors else frozenset(),
    )


def _decide(keys: Keyring, one: Making, known: _Known) -> _Decided | errors.Refusal:
    """What one order is, or why it cannot be."""
    window, elder = one.grant.slots[0], one.grant.claims[0]
    ordered = [known.dishes.get(dish_id) for dish_id, _ in one.lines]
    if window.subject_id is not None:
        return errors.Unprocessable.at("/slot_id", "not_a_window")
    strange = [n for n, row in enumerate(ordered) if row is None or row["place_id"] != window.place_id]
    if strange:
        return errors.NotOffered(errors=[{"pointer": f"/lines/{n}/dish_id", "code": "not_offered"} for n in strange])
    row = known.elders[elder.holder_no]
    profile = readable(keys, "profile", elder.person_id, row["sealed"])
    if profile is None:
        return errors.Broken()  # what an elder must not eat is not guessed
    if is_about_health(profile) and elder.person_id not in known.consenting:
        return errors.ConsentRequired(purposes=[HEALTH])  # taken back: it may not be used, and must not be overlooked
    needs = needs_of(profile, one.diet)
    found = [
        {"pointer": f"/lines/{n}", "code": code}
        for n, (dish_id, _) in enumerate(one.lines)
        for code in rules.conflicts(known.recipes[dish_id], needs)
    ]
    if found:
        return errors.DietConflict(errors=found)
    terms = known.terms[window.place_id]
    door = None if one.is_collected else one.deliver_to or profile.get("deliver_to")
    if door is None and not one.is_collected:  # nobody would bring it, and nobody come for it
        return errors.Unprocessable.at("/deliver_to", "missing")
    if one.deliver_to is not None and one.deliver_to["region"] in known.nowhere:
        return errors.Unprocessable.at("/deliver_to/region", "unknown")
    if door is not None and not rules.delivers_to(door["region"], terms.area):
        return errors.OutsideDeliveryArea(errors=[{"pointer": "/deliver_to/region", "code": "outside_delivery_area"}])
    lines = rules.priced(
        [Wish(portions, row["price_fen"]) for (_, portions), row in zip(one.lines, ordered, strict=True) if row],
        elder.band,
        row["community"],
        terms.pricing,
    )
    said = {
        "deliver_to": door,
        "diet": sorted(needs.diets),
        "allergens": sorted(needs.allergens),
        "texture": needs.texture if needs.texture != "normal" else None,
        "note": one.note,
    }
    price, subsidy = sum(one.price_fen for one in lines), sum(one.subsidy_fen for one in lines)
    fee = terms.pricing.delivery_fee_fen if door is not None else 0
    return _Decided(terms, lines, (price, subsidy, fee, price - subsidy + fee), said)


async def _may_be(
    tx: Tx, several: Sequence[Making], decided: Sequence[_Decided | errors.Refusal], *, skip_locked: bool
) -> list[errors.Refusal | Skip | None]:
    """Why orders cannot be: also for whom the account may not act any more, or not for so much in the month of the meal.

    A proxy's orders are weighed one after another, against what stands once the proxy is held. One that was not had is
    looked for anew: it may have ended.
    """
    refused: list[errors.Refusal | Skip | None] = [one if isinstance(one, errors.Refusal) else None for one in decided]
    pairs = {(one.account_no, one.grant.claims[0].person_id) for one in several if one.is_for_another}
    if not pairs:
        return refused
    speaking = await sql.speaking(tx, sorted(pairs))
    capped = sorted(cap.relation_id for cap in speaking.values() if cap is not None)
    had = await sql.hold_proxies(tx, capped, skip_locked=skip_locked) if capped else set()
    keys = [(one.account_no, one.grant.claims[0].person_id, one.day.replace(day=1)) for one in several]
    spent = dict(await sql.spent(tx, sorted({key for key in keys if speaking.get(key[:2])}))) if capped else {}
    for n, (key, what) in enumerate(zip(keys, decided, strict=True)):
        if not several[n].is_for_another:
            continue
        if key[:2] not in speaking:
            refused[n] = errors.NotYours.at("/persons/0", "not_yours")
            continue
        cap = speaking[key[:2]]
        if cap is None or isinstance(what, errors.Refusal):
            continue
        before, pays = spent.get(key, 0), what.sums[3]
        if cap.relation_id not in had:
            refused[n] = SKIPPED
        elif before + pays > cap.cap_fen:
            refused[n] = errors.CapReached(cap_fen=cap.cap_fen, spent_fen=before)
        elif several[n].grant.held_until > clock.now():  # who only waits spends nothing yet
            spent[key] = before + pays
    return refused


async def _write(tx: Tx, keys: Keyring, made: Sequence[tuple[Making, _Decided]]) -> dict[uuid.UUID, int]:
    nos = await sql.insert_orders(tx, [_row(keys, one, decided) for one, decided in made])
    await announce(tx, [notices.order_made(one.grant, one.id, sum(n for _, n in one.lines)) for one, _ in made])
    return nos


def _row(keys: Keyring, one: Making, decided: _Decided) -> dict[str, Any]:
    window, elder = one.grant.slots[0], one.grant.claims[0]
    price, subsidy, fee, pay = decided.sums
    door = decided.said["deliver_to"]
    sealed = seal(keys, "order", one.id, decided.said) if any(decided.said.values()) else b""
    return {
        "id": one.id,
        "group_id": one.grant.group_id,
        "place_id": window.place_id,
        "community": window.community,
        "account_no": one.account_no,
        "slot_id": window.id,
        "holder_no": elder.holder_no,
        "person_id": elder.person_id,
        "day": one.day,
        "starts_at": window.starts_at,
        "portions": sum(portions for _, portions in one.lines),
        "terms_version": decided.terms.version,
        "band": elder.band,
        "price_fen": price,
        "subsidy_fen": subsidy,
        "fee_fen": fee,
        "pay_fen": pay,
        "region": door["region"] if door else None,
        "sealed": b64encode(sealed).decode(),
        "lines": [
            {"n": n, "dish_id": dish_id, "portions": portions, **line._asdict()}
            for n, ((dish_id, portions), line) in enumerate(zip(one.lines, decided.lines, strict=True))
        ],
    }


def _told(one: Making, decided: _Decided, no: int, known: _Known) -> dict[str, Any]:
    price, subsidy, fee, pay = decided.sums
    return {
        "no": no,
        "lines": [
            {
                "dish_id": dish_id,
                "name": known.dishes[dish_id]["name"],
                "portions": portions,
                "price_fen": line.price_fen,
                "subsidy_fen": line.subsidy_fen,
                "pay_fen": line.pay_fen,
                "why": line.why,
            }
            for (dish_id, portions), line in zip(one.lines, decided.lines, strict=True)
        ],
        "price_fen": price,
        "subsidy_fen": subsidy,
        "fee_fen": fee,
        "pay_fen": pay,
        "terms_version": decided.terms.version,
        "deliver_to": decided.said["deliver_to"],
        "diet": decided.said["diet"],
        "note": one.note,
        "outcome": None,
        "outcome_at": None,
    }


async def details(tx: Tx, keys: Keyring, ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Any]:
    """What orders say beside their rows: lines, the door, the diet; and whether they are on their way."""
    lines = await sql.lines(tx, ids)
    return {
        order_id: {
            **{name: said.get(name) for name in ("deliver_to", "note")},
            "diet": said.get("diet") or [],
            "lines": [dict(line) for line in lines.get(order_id, ())],
            "is_planned": row["round_id"] is not None,
        }
        for order_id, row in (await sql.sealed(tx, ids)).items()
        for said in [unseal(keys, "order", order_id, row["sealed"])]
    }


async def releasing(tx: Tx, who: Caller, row: Any, group: Group, _holders: Sequence[int]) -> None:
    """A meal is given back until its deadline; later only by those who cook it, and never after it came to an end."""
    now = await sql.order(tx, row["id"])
    if now is None or now["outcome"] in rules.FINAL:
        raise errors.AlreadyRecorded
    cancel_by = next((one["cancel_by"] for one in group.claims if one["slot_id"] == now["slot_id"]), None)
    if cancel_by is None or clock.now() <= cancel_by:
        return
    if not who.may(KITCHEN, row["community"], row["place_id"]):
        raise errors.TooLate(cancel_by=clock.local(cancel_by))


async def shown(tx: Tx, who: Caller, row: Any, out: Any, *, alone: bool) -> Any:
    """An order as this caller hears it.

    The phone at the door is told in full to the elder's own people, and to the kitchen that looks at this very order,
    which is written down.
    """
    door = out.deliver_to
    if door is None or door.phone is None or acts_for(who, row["holder_no"]):
        return out
    if alone:
        await phone_read(tx, who, row["id"], row["person_id"], row["community"])
        return out
    return out.model_copy(update={"deliver_to": door.model_copy(update={"phone": rules.masked(door.phone)})})


async def phone_read(tx: Tx, who: Caller, order_id: uuid.UUID, person_id: uuid.UUID, community: str) -> None:
    """Write down that somebody was told the phone of an elder in full."""
    await audit.record(
        tx,
        who.account_no,
        "meals.phone.read",
        community=community,
        person_id=person_id,
        data={"order_id": order_id},
    )


def new_id() -> uuid.UUID:
    """A new order's id."""
    return clock.uuid7()
