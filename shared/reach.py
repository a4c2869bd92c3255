"""How far a transaction reaches: whose rows PostgreSQL shows it and takes from it (row-level security, `wall` in migrations).

The first wall are the questions themselves, which ask for no more than their caller may know. This is the second: where one
of them forgets, the database shows no row of another region, and without any word about its reach it shows none at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shared.assertion import Caller

_TOLD = re.compile(r"[0-9,*a-f-]*")


@dataclass(frozen=True)
class Reach:
    """Regions by the beginning of their codes (`*` is everywhere), and people, holders and an account besides."""

    region: str
    people: str = ""
    holders: str = ""
    account: str = ""

    @cached_property
    def settings(self) -> str:
        """The words that begin a transaction; nothing else than digits, commas and ids ever gets into them."""
        told = {"region": self.region, "people": self.people, "holders": self.holders, "account": self.account}
        if not all(_TOLD.fullmatch(one) for one in told.values()):
            raise ValueError("a reach is made of codes and ids")
        return "".join(f";SET LOCAL app.{name}='{one}'" for name, one in told.items() if one)


EVERYWHERE: Final = Reach("*")
"""For what serves many at once or belongs to no one's region: the arbiter's line, tasks, migrations, the doctor, seeding."""
OF_A_SESSION: Final = "SET app.region = '*'"
"""The same for a session of one's own that is not `shared.db`'s: migrations, and `linli` on the command line."""
_NO_REGION: Final = "-"
"""Something was said, and no region: a resident's reach is people."""


def of(caller: Caller) -> Reach:
    """The regions where the caller works (or their key reaches); themselves, and those they act for."""
    regions = {role.prefix for role in caller.roles}
    if caller.key is not None:
        regions.add(caller.key.prefix)
    if "" in regions:  # the whole country
        return EVERYWHERE
    people = [one.person_id for one in caller.acts_for]
    if caller.person_id is not None:
        people.append(caller.person_id)
    account = "" if caller.account_no is None else str(caller.account_no)
    return Reach(_list(sorted(regions)) or _NO_REGION, _list(people), _list(caller.holders), account)


def _list(several: Iterable[Any]) -> str:
    return ",".join(map(str, several))
