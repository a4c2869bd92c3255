"""People with a part in the demo, one for everybody who has to do with the town, and their access tokens."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from services.cli import Stop
from services.demo import people as synthetic
from services.identity import passwords
from services.identity.actions import enrolment as identity
from services.identity.actions import staff
from shared import clock, crypto, tokens
from shared.crypto import Keyring
from shared.db import Database, Tx

TOKEN_SECONDS: Final = 12 * 3600


@dataclass(frozen=True, slots=True)
class Persona:
    """Somebody with a part in the demo: who they are and what they may do where."""

    key: str
    name: str
    what: str
    community: str
    age: int = 40
    sex: str = "female"
    phone: str | None = None
    role: str | None = None
    prefix: str | None = None
    kind: str = "person"

    @property
    def password(self) -> str | None:
        """Of staff: they log in by their word. It opens nothing outside a demo."""
        return passwords.demo(self.key) if self.role and self.kind == "person" else None


PERSONAS: Final = (
    Persona(
        "resident", "王建国", "books the fitness centre; son of the elder", "330411105003", 42, "male", "15400000001"
    ),
    Persona("neighbour", "李秀英", "lives next door", "330411105003", 38, "female", "15400000002"),
    Persona("elder", "王福根", "82 years old, lives alone", "330424101003", 82, "male", "15400000003"),
    Persona("child-parent", "陈美华", "mother of a six-year-old", "330424101003", 35, "female", "15400000004"),
    Persona(
        "villager",
        "沈阿毛",
        "lives in the village, shares the town's facilities",
        "330411105204",
        51,
        "male",
        "15400000005",
    ),
    Persona("outsider", "赵远", "lives in another county", "330402", 29, "male", "15400000006"),
    Persona(
        "manager", "周敏", "town staff of 王店镇", "330411105003", 45, "female", "15400000007", "manager", "330411105"
    ),
    Persona("auditor", "钱正", "reads, never writes", "330411", 50, "male", "15400000008", "auditor", "330411"),
    Persona("kitchen", "许厨", "kitchen of 沈荡", "330424101003", 48, "male", "15400000009", "kitchen", "330424101"),
    Persona("courier", "孙快", "brings the meals", "330424101003", 33, "male", "15400000010", "courier", "330424101"),
    Persona(
        "carer", "何暖", "children's room of 沈荡", "330424101003", 30, "female", "15400000011", "carer", "330424101"
    ),
    Persona(
        "steward", "金管", "town staff of 沈荡镇", "330424101003", 44, "male", "15400000012", "manager", "330424101"
    ),
    Persona(
        "organiser", "吴雅", "events of 茶园社区", "330411004010", 36, "female", "15400000013", "manager", "330411004"
    ),
    Persona(
        "administrator",
        "冯立",
        "grants working roles",
        "330411105003",
        39,
        "female",
        "15400000014",
        "administrator",
        "3304",
    ),
    Persona(
        "security", "卫安", "grants security and audit", "330411105003", 41, "male", "15400000015", "security", "3304"
    ),
    Persona(
        "gate",
        "健身中心闸机",
        "the gate of the fitness centre",
        "330411105003",
        role="gate",
        prefix="330411105",
        kind="device",
    ),
    Persona("partner", "合作伙伴", "a partner's system", "330411105003", kind="partner"),
)
CHILD: Final = Persona("child", "陈小宝", "six years old", "330424101003", 6, "male")


_NOT_BUILT: Final = "The demo town has not been built; run `linli seed` first."
_OLDER: Final = "This demo town was built by an older Linli, which had no {}; another --data-dir makes a new one."


def _index(keys: Keyring, persona: str) -> bytes:
    return crypto.blind_index(keys, persona, column="logins.demo")


async def are_there(tx: Tx, keys: Keyring) -> bool:
    """Whether this database has the personas."""
    return bool(
        await tx.value(
            "SELECT EXISTS (SELECT 1 FROM logins WHERE provider = 'demo' AND subject_index = $1)",
            _index(keys, "resident"),
        )
    )


async def build(tx: Tx, keys: Keyring) -> dict[str, uuid.UUID]:
    """Enrol everybody who has a part; the person of each persona that is one."""
    rng = random.Random("personas")  # noqa: S311 - drawn from a seed, to be the same each time
    ids: dict[str, uuid.UUID] = {}
    for n, persona in enumerate((*PERSONAS, CHILD)):
        if persona.kind != "person":
            row = await tx.row(
                "INSERT INTO accounts (name, kind) VALUES ($1, $2) RETURNING no", persona.name, persona.kind
            )
            account_no = row["no"] if row else 0
        else:
            born = clock.today() - timedelta(days=persona.age * 365 + persona.age // 4 + 30)
            number = synthetic.make_document("resident_id", rng, born, persona.sex, "330411")
            one = synthetic.Resident(
                persona.name, persona.sex, born, "resident_id", number, persona.phone, n, "head", persona.community
            )
            (enrolled,) = await identity.enrol(tx, keys, [one])
            ids[persona.key] = enrolled.person_id
            account_no = enrolled.account_no or 0
            await tx.execute("UPDATE persons SET level = 3 WHERE id = $1", enrolled.person_id)
            await tx.execute("UPDATE holders SET level = 3 WHERE id = $1", enrolled.person_id)
        if persona is CHILD:
            continue
        await tx.execute(
            "INSERT INTO logins (account_no, provider, subject_index) VALUES ($1, 'demo', $2)",
            account_no,
            _index(keys, persona.key),
        )
        if persona.role:
            await tx.execute(
                "INSERT INTO roles (account_no, role, prefix) VALUES ($1, $2, $3)",
                account_no,
                persona.role,
                persona.prefix,
            )
        if persona.password:
            await staff.give(tx, keys, account_no, persona.key, await passwords.keep(persona.password))
    await tx.execute(
        "UPDATE holders SET household_no = (SELECT household_no FROM holders WHERE id = $1) WHERE id = $2",
        ids["child-parent"],
        ids["child"],
    )
    for actor, person, kind in (("child-parent", "child", "guardian"), ("resident", "elder", "proxy")):
        await tx.execute(
            "INSERT INTO relations (actor_id, person_id, kind) VALUES ($1, $2, $3)", ids[actor], ids[person], kind
        )
    return ids


async def people(db: Database, keys: Keyring) -> list[tuple[str, str, str | None, str | None, str]]:
    """Persona, name, phone, password and what they are."""
    if not await db.read(are_there, keys):
        raise Stop(_NOT_BUILT)
    return [(one.key, one.name, one.phone, one.password, one.what) for one in PERSONAS]


async def token(db: Database, keys: Keyring, persona: str) -> str:
    """An access token of a persona, for half a day."""
    if persona not in {one.key for one in PERSONAS}:
        raise Stop(f"There is no persona {persona}; see `linli demo people`.")
    row = await db.read(_account, keys, persona)
    if row is None:
        raise Stop(_OLDER.format(persona) if await db.read(are_there, keys) else _NOT_BUILT)
    return _issue(keys, row)


async def _account(tx: Tx, keys: Keyring, persona: str) -> Any | None:
    return await tx.row(
        "SELECT a.id, a.no, a.person_id, a.name, h.no AS holder_no FROM logins l JOIN accounts a ON a.no = l.account_no "
        "LEFT JOIN holders h ON h.id = a.person_id WHERE l.provider = 'demo' AND l.subject_index = $1",
        _index(keys, persona),
    )


async def tokens_of(tx: Tx, count: int, grown_up: date) -> list[Any]:
    """Accounts of different grown-up residents."""
    return await tx.fetch(
        "SELECT a.id, a.no, a.person_id, a.name, h.no AS holder_no FROM accounts a JOIN holders h ON h.id = a.person_id "
        "JOIN persons p ON p.id = a.person_id WHERE p.born <= $1 AND a.closed_at IS NULL ORDER BY a.no DESC LIMIT $2",
        grown_up,
        count,
    )


async def tokens_for(db: Database, keys: Keyring, count: int) -> list[tuple[uuid.UUID, str]]:
    """Tokens of that many different grown-up residents."""
    today = clock.today()
    rows = await db.read(tokens_of, count, today.replace(year=today.year - 18, day=min(today.day, 28)))
    if len(rows) < count:
        raise Stop(f"There are only {len(rows)} grown-up residents with an account; make more with `linli seed`.")
    return [(row["person_id"], _issue(keys, row)) for row in rows]


def _issue(keys: Keyring, row: Any) -> str:
    return tokens.issue(
        keys,
        account_id=row["id"],
        account_no=row["no"],
        person_id=row["person_id"],
        holder_no=row["holder_no"],
        name=row["name"],
        session_id=None,
        seconds=TOKEN_SECONDS,
    )
