"""What happens at a door, and what is done when nobody opens it: nothing is forgotten, and a person ends it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from services.elder_meals import notices, rules
from services.elder_meals.actions import DOORS, KITCHEN, SERVICE, STAFF, acts_for
from services.elder_meals.actions.sealing import readable, seal, unseal
from services.elder_meals.rules import Terms
from services.elder_meals.sql import doors as sql
from services.elder_meals.sql import elders, orders
from shared import claims, clock, errors, uploads
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import Notice, announce
from shared.places import sql as places
from shared.texts import say
from shared.uploads import UploadIn

EARLY: Final = timedelta(hours=2)
"""How long before its window a meal may be on its way; what is said earlier is a mistake, and would end the meal."""
LATE: Final = timedelta(hours=1)
"""An outcome that comes later than that is called late."""
SKEW: Final = timedelta(minutes=5)
"""So far two phones' clocks may be apart."""
SEEN: Final = timedelta(days=1)
"""How long after its end a welfare check is shown to those who only stand at doors."""


async def record(
    tx: Tx, keys: Keyring, who: Caller, order_id: uuid.UUID, report: UploadIn, outcome: str, said: dict[str, Any]
) -> dict[str, Any]:
    """What happened to a meal at its door; the same report again is answered the same.

    What was decided without a network has happened: what stands against it is answered as reasons. Nobody opened,
    or came to fetch it: a welfare check begins, unless the elder said they are away or the meal was given back before.
    """
    order, reasons = await _at_the_door(tx, who, order_id, report)
    earlier = await uploads.begin(tx, who, "elder-meals.outcome", report, order_id)
    if earlier is not None:
        return earlier
    group = await claims.group(tx, order["group_id"])
    await claims.lock_slots(tx, (one["slot_id"] for one in group.claims) if group else ())
    group = await claims.group(tx, order["group_id"])
    if clock.now() - report.at > LATE:
        reasons.append("recorded_late")
    if group is None or group.state not in ("confirmed", "attended"):
        _stands_against(
            report, reasons, "given_back", errors.Conflict(say("This meal was given back.", "此餐已取消。"))
        )
    opens_at = max(order["starts_at"] - EARLY, order["made_at"] - SKEW)
    if outcome == "unanswered" and order["region"] is None:  # whoever fetches a meal has until its window ends
        opens_at = max(opens_at, order["ends_at"])
    if report.at < opens_at:
        raise errors.TooEarly(opens_at=clock.local(opens_at))
    if outcome == "to_neighbour" and order["region"] is None:
        raise errors.Conflict(
            say("This meal is fetched: no neighbour takes it at a door.", "此餐为到店自取，不能登记邻居代收。")
        )
    if group is not None and outcome in ("delivered", "to_neighbour"):
        await claims.attend(tx, [one["id"] for one in group.claims])
    now = await orders.order(tx, order_id, locked=True)
    if now is None or now["outcome"] in rules.FINAL:
        raise errors.AlreadyRecorded
    terms = rules.terms_of(*(await places.terms(tx, [order["place_id"]])).get(order["place_id"], (0, {})))
    if outcome == "to_neighbour" and not await _neighbour_may(tx, keys, terms, order["person_id"]):
        _stands_against(report, reasons, errors.NeighbourNotAgreed.code, errors.NeighbourNotAgreed())
    row_id = clock.uuid7()
    sealed = seal(keys, "outcome", row_id, said) if any(said.values()) else None
    await sql.insert_outcome(tx, [row_id, order_id, order["community"], outcome, report.at, who.account_no, sealed])
    await orders.set_outcome(tx, order_id, outcome, report.at)
    check_id = None
    facts = (order_id, order["group_id"], order["community"], order["holder_no"])
    found = [notices.order_came_to(*facts, outcome, report.at)]
    if outcome == "unanswered":
        check_id, more, opened = await _nobody_opened(tx, now, report, terms)
        reasons += more
        found += opened
    await announce(tx, found)
    answer = {
        "id": str(report.id),
        "order_id": str(order_id),
        "outcome": outcome,
        "at": clock.local(report.at).isoformat(),
        "reasons": reasons,
        "welfare_check_id": str(check_id) if check_id is not None else None,
    }
    await uploads.finish(tx, report.id, answer)
    return answer


async def _at_the_door(tx: Tx, who: Caller, order_id: uuid.UUID, report: UploadIn) -> tuple[Any, list[str]]:
    """The order, for the courier of its round, any courier when the round is nobody's, and those who run the kitchen.

    Rounds are planned again: a courier who stood there without knowing so is heard, with the reason.
    """
    who.known()
    order = await orders.order(tx, order_id)
    if order is None:
        raise errors.NotThere
    if who.may(KITCHEN, order["community"], order["place_id"]):
        return order, []
    on = await sql.courier_of(tx, order_id)
    is_courier = who.may(DOORS, order["community"], order["place_id"])
    if is_courier and on is not None and on["courier_no"] in (None, who.account_no):
        return order, []
    if is_courier and report.decided and order["region"] is not None:
        return order, ["not_on_your_round"]
    if is_courier or order["account_no"] == who.account_no or acts_for(who, order["holder_no"]):
        raise errors.NotAllowed
    raise errors.NotThere


def _stands_against(report: UploadIn, reasons: list[str], code: str, refusal: errors.Refusal) -> None:
    """Refuse what is to be decided now; what has happened all the same is written down with its reason."""
    if not report.decided:
        raise refusal
    reasons.append(code)


async def _neighbour_may(tx: Tx, keys: Keyring, terms: Terms, person_id: uuid.UUID) -> bool:
    """Whether the elder and the kitchen have agreed that a neighbour takes a meal."""
    row = await elders.profile(tx, person_id)
    profile = unseal(keys, "profile", person_id, row["sealed"] if row is not None else None)
    return terms.neighbour_allowed and bool((profile.get("neighbour") or {}).get("consent"))


async def _nobody_opened(
    tx: Tx, order: Any, report: UploadIn, terms: Terms
) -> tuple[uuid.UUID | None, list[str], list[Notice]]:
    """The welfare check that this opens or finds open; none for somebody who said they are away since the meal was ordered.

    Whoever orders after that expects the meal: that nobody opens is as alarming as on any other day. So it is when the
    courier goes back after the first check has ended, by what its last step says, whenever that came; what is told again
    while somebody still looks is known, unless it was decided at the door. A meal that was given back before is expected
    by nobody.
    """
    last = await sql.last_check(tx, order["person_id"])
    is_open = last is not None and last["closed_at"] is None
    if order["outcome"] == "unanswered" and (
        report.at <= order["outcome_at"]
        or (is_open and not report.decided)
        or (last is not None and last["ended_at"] is not None and report.at < last["ended_at"] - SKEW)
    ):
        raise errors.AlreadyRecorded
    away = await elders.away(tx, [order["person_id"]], order["day"], order["day"])
    if any(one["made_at"] >= order["made_at"] for one in away):
        return None, ["elder_is_absent"], []
    left_at = await orders.left_at(tx, order["group_id"])
    if left_at is not None and left_at <= report.at:
        return None, [], []
    ladder = {"rungs": [{"after_minutes": one.after_minutes, "step": one.step} for one in terms.ladder]}
    due_at = rules.due(terms.ladder, report.at, 0)
    whose = [order["person_id"], order["holder_no"], order["place_id"], order["community"], order["id"]]
    made = await sql.open_check(tx, [*whose, report.at, ladder, due_at])
    if made is None:
        # None that is open is found where it is another region's: out of sight here.
        last = await sql.last_check(tx, order["person_id"])
        return last["id"] if last is not None and last["closed_at"] is None else None, ["check_was_open"], []
    opened = notices.welfare_opened(made, order, report.at)
    return made, [], [opened]


async def _close_to(tx: Tx, keys: Keyring, check: Any) -> list[int]:
    """Whom to tell of a check: the elder, which reaches those who act for them, and contacts who are residents."""
    row = await elders.profile(tx, check["person_id"])
    profile = readable(keys, "profile", check["person_id"], row["sealed"] if row is not None else None)
    named = [uuid.UUID(one["person_id"]) for one in (profile or {}).get("contacts") or () if one.get("person_id")]
    known = await elders.people(tx, named) if named else {}
    return [check["holder_no"], *(row["no"] for row in known.values())]


async def due_checks(tx: Tx, most: int = 200) -> list[uuid.UUID]:
    """Welfare checks of which something is due now."""
    return await sql.due_checks(tx, most)


async def escalate(tx: Tx, check_id: uuid.UUID, *, keys: Keyring) -> bool:
    """Say that the next step of a check is due, and when the one after it will be; False when somebody else did so."""
    check = await sql.due_check(tx, check_id)
    if check is None:
        tx.discard()
        return False
    ladder, n = rules.ladder_of(check["ladder"]["rungs"]), check["rung"]
    if n < len(ladder):
        values = [clock.uuid7(), check_id, check["community"], "escalated", n, None, check["due_at"], None, None]
        await sql.insert_step(tx, values)
        holders = await _close_to(tx, keys, check)
        await announce(tx, [notices.welfare_escalated(check, holders, (n, ladder[n].step))])
    await sql.climb(tx, check_id, n + 1, rules.due(ladder, check["opened_at"], n + 1))
    return True


async def _check(tx: Tx, who: Caller, check_id: uuid.UUID, *, locked: bool = False) -> Any:
    """A check, for those who look after the elder by office or by blood."""
    who.known()
    row = await sql.check(tx, check_id, locked=locked)
    if row is None or not (_watches(who, row) or acts_for(who, row["holder_no"])):
        raise errors.NotThere
    return row


def _watches(who: Caller, row: Any) -> bool:
    """Whether a check is the caller's to look after: staff always, couriers and cooks while it is open and a day longer."""
    where = (row["community"], row["place_id"])
    is_news = row["closed_at"] is None or row["closed_at"] > clock.now() - SEEN
    return who.may(STAFF, *where) or (is_news and who.may(DOORS, *where))


async def step(  # noqa: PLR0913 - what one step says
    tx: Tx,
    keys: Keyring,
    who: Caller,
    check_id: uuid.UUID,
    report: UploadIn,
    *,
    kind: str,
    outcome: str | None,
    note: str | None,
) -> dict[str, Any]:
    """Add what was done about a closed door. The elder's own people may report; whoever ends it does so by office."""
    check = await _check(tx, who, check_id)
    if outcome is not None and not _watches(who, check):
        raise errors.NotAllowed
    earlier = await uploads.begin(tx, who, "elder-meals.step", report, check_id)
    if earlier is not None:
        return earlier
    check = await _check(tx, who, check_id, locked=True)
    if check["state"] == "closed":
        raise errors.AlreadyRecorded
    since = check["opened_at"]
    if outcome is not None:  # another meal's door may have stayed shut since
        since = max(since, await sql.last_shut(tx, check["person_id"]) or since)
    if report.at < since - SKEW:  # what was done before cannot have been about this door
        raise errors.TooEarly(opens_at=clock.local(since))
    row_id = clock.uuid7()
    sealed = seal(keys, "step", row_id, {"note": note}) if note else None
    values = [row_id, check_id, check["community"], kind, None, outcome, report.at, who.account_no, sealed]
    await sql.insert_step(tx, values)
    if outcome is not None:
        now = clock.now()
        await sql.close_check(tx, check_id, outcome, now)
        holders = await _close_to(tx, keys, check)
        await announce(tx, [notices.welfare_closed(check, holders, outcome, now)])
    answer = {"step_id": str(row_id)}
    await uploads.finish(tx, report.id, answer)
    return answer


async def read_check(tx: Tx, keys: Keyring, who: Caller, check_id: uuid.UUID) -> dict[str, Any]:
    """One check with its steps."""
    return (await _told(tx, keys, [await _check(tx, who, check_id)]))[0]


async def checks(
    tx: Tx, keys: Keyring, who: Caller, state: str | None, after: uuid.UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Checks in the reach of the caller's offices, and of elders they act for; the newest first."""
    who.known()
    found = await sql.checks(
        tx,
        roles=[(one.prefix, one.place_id, one.role in STAFF) for one in who.roles if one.role in DOORS],
        seen_since=clock.now() - SEEN,
        holders=who.holders_in(SERVICE),
        state=state,
        after=after,
        limit=limit,
    )
    return await _told(tx, keys, found)


async def _told(tx: Tx, keys: Keyring, found: Sequence[Any]) -> list[dict[str, Any]]:
    steps = await sql.steps(tx, [row["id"] for row in found])
    told_of = []
    for row in found:
        ladder = rules.ladder_of(row["ladder"]["rungs"])
        done = [one["kind"] for one in steps.get(row["id"], ())]
        rung = rules.next_rung(ladder, row["rung"], done) if row["state"] == "open" else len(ladder)
        told_of.append(
            {
                "id": row["id"],
                "person": {"id": row["person_id"], "name": row["person_name"]},
                "facility": {"id": row["place_id"], "name": row["place_name"]},
                "order_id": row["order_id"],
                "state": row["state"],
                "outcome": row["outcome"],
                "opened_at": row["opened_at"],
                "closed_at": row["closed_at"],
                "next": {"step": ladder[rung].step, "due_at": rules.due(ladder, row["opened_at"], rung)}
                if rung < len(ladder)
                else None,
                "steps": [
                    {
                        "id": one["id"],
                        "kind": one["kind"],
                        "step": ladder[one["rung"]].step if one["rung"] is not None else None,
                        "outcome": one["outcome"],
                        "at": one["at"],
                        "note": unseal(keys, "step", one["id"], one["sealed"]).get("note"),
                    }
                    for one in steps.get(row["id"], ())
                ],
            }
        )
    return told_of
