"""How far a caller reaches: by a key, by the keys of their account, or by a role among the staff."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final, NamedTuple

from services import notice_types, operation_ids
from services.partners import rules
from services.partners.rules import Filter
from services.partners.sql import keys as sql
from shared import errors
from shared.assertion import Caller
from shared.db import Tx

MAKERS: Final = frozenset({"manager", "operator", "administrator"})
"""Who gives keys to partners, within their region."""
READERS: Final = MAKERS | {"staff", "auditor"}
"""Who may read the log of their region without a key."""
PUSHED: Final = MAKERS | {"staff"}
"""Who may have it sent somewhere without a key: auditors read."""


class Reach(NamedTuple):
    """One way to reach notices, and the key it is by; None for a role."""

    key_id: uuid.UUID | None
    types: tuple[str, ...]
    filter: Filter


async def of(tx: Tx, caller: Caller, roles: frozenset[str] = READERS) -> list[Reach]:
    """Every way in which this caller reaches notices, by a key or one of these roles. Refuses who has none."""
    account_no = caller.known()
    if caller.key is not None:
        one = caller.key
        return [Reach(one.id, one.types, Filter(one.prefix, rules.pattern(one.types), one.place_id))]
    found = [
        Reach(None, ("*",), Filter(role.prefix, rules.pattern(["*"]), role.place_id))
        for role in caller.roles
        if role.role in roles
    ]
    for row in await sql.live(tx, account_no):
        types = tuple(row["types"])
        found.append(Reach(row["id"], types, Filter(row["community"], rules.pattern(types), row["place_id"])))
    if not found:
        raise errors.NotAllowed
    return found


def within(reach: Sequence[Reach], community: str, types: Iterable[str]) -> Reach:
    """The way that covers a region and types; refuses what none of them covers. A role at one place covers no region."""
    types = tuple(types)
    for one in reach:
        if one.key_id is None and one.filter.place_id is not None:
            continue
        if community.startswith(one.filter.prefix) and all(rules.covers(one.types, kind) for kind in types):
            return one
    raise errors.NotInScope


def some_of(reach: Sequence[Reach], types: Iterable[str]) -> None:
    """Refuses a type, or a family, of which none of these ways covers anything; `*` is whatever they cover."""
    for kind in types:
        if not any(
            rules.covers([kind], name) and any(rules.covers(one.types, name) for one in reach) for name in names()
        ):
            raise errors.NotInScope


@cache
def names() -> frozenset[str]:
    """Every type there is."""
    return frozenset(str(kind.name) for kind in notice_types())


def known(types: Sequence[str], *, where: str = "body") -> tuple[str, ...]:
    """These types and families, each once; refuses a type that there is not, and a family of none."""
    return _each_known(types, names(), "unknown_type", where, lambda n: f"/types/{n}" if where == "body" else "/types")


def known_operations(told: Sequence[str]) -> tuple[str, ...]:
    """These operations and families, each once; refuses an operation that there is not, and a family of none."""
    return _each_known(told, operation_ids(), "unknown_operation", "body", lambda n: f"/operations/{n}")


def _each_known(
    told: Sequence[str], every: frozenset[str], code: str, where: str, pointer: Callable[[int], str]
) -> tuple[str, ...]:
    for n, one in enumerate(told):
        if one not in every and not any(rules.covers([one], name) for name in every):
            raise errors.Unprocessable.at(pointer(n), code, where=where)
    return tuple(dict.fromkeys(told))
