"""Regions that follow others, in the database: everything that stands in them goes along.

Only whoever owns the tables can do this; no service's role may.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from shared import wire
from shared.db import Tx
from shared.regions import Follows, Region

LOGS: Final = ("audit", "consents", "deliveries", "notices", "refused")
"""What was said and done under a code stays said and done under it."""
FIRST: Final = ("slots", "holders", "households", "claims")
"""In the order in which everybody locks rows."""
OWN: Final = ("holders", "person_places")
"""What follows by rules of its own."""


async def trees(tx: Tx, codes: Sequence[str]) -> dict[str, list[Region]]:
    """Each of these regions with all below it that stands, the region itself first, locked."""
    rows = await tx.fetch(
        """
        WITH RECURSIVE below AS (
            SELECT code AS root, code FROM regions WHERE code = ANY($1::text[]) AND ended_on IS NULL
            UNION SELECT b.root, r.code FROM below b JOIN regions r ON r.parent_code = b.code WHERE r.ended_on IS NULL)
        SELECT b.root, r.code, r.name, r.level, r.parent_code
        FROM below b JOIN regions r ON r.code = b.code ORDER BY r.code FOR UPDATE OF r
        """,
        codes,
    )
    found: dict[str, list[Region]] = {}
    for root, *region in rows:
        found.setdefault(root, []).append(Region(*region))
    return found


async def known(tx: Tx, code: str) -> Any | None:
    """A region, standing or ended: name, level, ended_on."""
    return await tx.row("SELECT name, level, ended_on FROM regions WHERE code = $1", code)


async def codes_below(tx: Tx, code: str) -> list[str]:
    """Every code ever given below a region: none is given twice."""
    return [row[0] for row in await tx.fetch("SELECT code FROM regions WHERE starts_with(code, $1)", code)]


async def write(tx: Tx, follows: Sequence[Follows], kind: str, on: date) -> None:
    """Make the new regions, end the old ones, and say which follows which."""
    await tx.many(
        "INSERT INTO regions (code, name, level, parent_code) VALUES ($1, $2, $3, $4) ON CONFLICT (code) DO NOTHING",
        [(one.new.code, one.new.name, one.new.level, one.new.parent_code) for one in follows],
    )
    await tx.many(
        "INSERT INTO region_changes (old_code, new_code, kind, is_principal, on_day) VALUES ($1, $2, $3, $4, $5)",
        [(one.old, one.new.code, kind, one.is_principal, on) for one in follows],
    )
    await tx.execute(
        "UPDATE regions SET ended_on = $2 WHERE code = ANY($1::text[])", sorted({one.old for one in follows}), on
    )


async def _tables(tx: Tx, column: str) -> list[str]:
    rows = await tx.fetch(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = $1 "
        "ORDER BY table_name",
        column,
    )
    return [row[0] for row in rows]


async def carry(tx: Tx, follows: Sequence[Follows], on: date) -> dict[str, int]:
    """Let whatever stands in the old regions stand in the new ones; how many rows of each table."""
    one_to_one = {one.old: one.new.code for one in follows if one.is_principal}
    old, new = list(one_to_one), list(one_to_one.values())
    counts: dict[str, int] = {}
    carried = [name for name in await _tables(tx, "community") if name not in LOGS]
    for table in sorted(carried, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name)):
        if table == "slots":
            counts["audiences"] = await _widen_lists(tx, follows)
        if table not in OWN:
            counts[table] = await _move(tx, table, "community", old, new)
        elif table == "holders":
            counts[table] = await _move_holders(tx, old, new)
        else:
            counts[table] = await _move_ties(tx, old, new, on)
    for table in await _tables(tx, "region"):
        counts[f"{table}.region"] = await _move(tx, table, "region", old, new)
    # What was announced under the new code before it was theirs is not to be sent to them now.
    await tx.execute("UPDATE endpoints SET since = greatest(since, position) WHERE community = ANY($1::text[])", new)
    counts["roles"] = await _grow_roles(tx, follows)
    counts["rules"] = await _widen_rules(tx, follows)
    return {name: count for name, count in counts.items() if count}


async def _move(tx: Tx, table: str, column: str, old: Sequence[str], new: Sequence[str]) -> int:
    return await tx.execute(
        f"UPDATE {table} t SET {column} = m.new FROM unnest($1::text[], $2::text[]) AS m(old, new) "
        f"WHERE t.{column} = m.old",
        old,
        new,
    )


async def _move_holders(tx: Tx, old: Sequence[str], new: Sequence[str]) -> int:
    """People, and of the committees the first: one region has one. The others keep what they had under their old code."""
    return await tx.execute(
        """
        UPDATE holders h SET community = m.new FROM unnest($1::text[], $2::text[]) AS m(old, new)
        WHERE h.community = m.old AND (h.kind <> 'organisation' OR h.no = (
            SELECT min(o.no) FROM holders o JOIN unnest($1::text[], $2::text[]) AS n(old, new) ON n.old = o.community
            WHERE o.kind = 'organisation' AND n.new = m.new
              AND NOT EXISTS (SELECT FROM holders x WHERE x.kind = 'organisation' AND x.community = m.new)))
        """,
        old,
        new,
    )


async def _move_ties(tx: Tx, old: Sequence[str], new: Sequence[str], on: date) -> int:
    """Who belonged to two that are one now belongs to it once, and first of all as to a home."""
    await tx.execute(
        """
        UPDATE person_places t SET ended_on = greatest(t.starts_on, $3) FROM (
            SELECT p.id, row_number() OVER (
                PARTITION BY p.person_id, p.kind, coalesce(m.new, p.community) ORDER BY p.is_home DESC, p.id) AS n
            FROM person_places p LEFT JOIN unnest($1::text[], $2::text[]) AS m(old, new) ON m.old = p.community
            WHERE p.ended_on IS NULL AND (m.new IS NOT NULL OR p.community = ANY($2::text[]))) d
        WHERE d.id = t.id AND d.n > 1
        """,
        old,
        new,
        on,
    )
    return await tx.execute(
        "UPDATE person_places t SET community = m.new FROM unnest($1::text[], $2::text[]) AS m(old, new) "
        "WHERE t.community = m.old AND t.ended_on IS NULL",
        old,
        new,
    )


async def _grow_roles(tx: Tx, follows: Sequence[Follows]) -> int:
    """Whoever had a role in an old region has it in every one that follows it."""
    old, new = [one.old for one in follows], [one.new.code for one in follows]
    ended = await tx.fetch(
        "UPDATE roles SET ends_at = greatest(starts_at, now()) WHERE prefix = ANY($1::text[]) "
        "AND (ends_at IS NULL OR ends_at > now()) RETURNING roles.id, old.ends_at",
        old,
    )
    return await tx.execute(
        """
        INSERT INTO roles (account_no, role, prefix, place_id, starts_at, ends_at)
        SELECT DISTINCT r.account_no, r.role, m.new, r.place_id, r.ends_at, e.ends_at
        FROM unnest($1::uuid[], $2::timestamptz[]) AS e(id, ends_at) JOIN roles r ON r.id = e.id
        JOIN unnest($3::text[], $4::text[]) AS m(old, new) ON m.old = r.prefix
        ON CONFLICT DO NOTHING
        """,
        [row[0] for row in ended],
        [row[1] for row in ended],
        old,
        new,
    )


async def _widen_lists(tx: Tx, follows: Sequence[Follows]) -> int:
    """Lists of regions name the new ones beside the old: what is for an old region is for those that follow it."""
    count = 0
    for table in await _tables(tx, "regions"):
        count += await tx.execute(
            f"""
            UPDATE {table} t SET regions = ARRAY(
                SELECT r FROM unnest(t.regions) AS r UNION SELECT m.new FROM unnest(t.regions) AS r
                JOIN unnest($1::text[], $2::text[]) AS m(old, new) ON m.old = r ORDER BY 1)
            WHERE t.regions && $1::text[]
            """,
            [one.old for one in follows],
            [one.new.code for one in follows],
        )
    return count


async def _widen_rules(tx: Tx, follows: Sequence[Follows]) -> int:
    """The same for lists in rules, which are not changed but followed by their next version; and in schedules."""
    named = [f'"{one.old}"' for one in follows]
    count = 0
    for table in ("policies", "terms"):
        rows = await tx.fetch(
            f"SELECT DISTINCT ON (place_id) place_id, version, body FROM {table} ORDER BY place_id, version DESC"
        )
        for row in rows:
            if (body := _widened(row["body"], follows, named)) is not None:
                await tx.execute(
                    f"INSERT INTO {table} (place_id, version, body) VALUES ($1, $2, $3)",
                    row["place_id"],
                    row["version"] + 1,
                    body,
                )
                count += 1
    for row in await tx.fetch("SELECT place_id, body FROM schedules ORDER BY place_id"):
        if (body := _widened(row["body"], follows, named)) is not None:
            await tx.execute("UPDATE schedules SET body = $2 WHERE place_id = $1", row["place_id"], body)
            count += 1
    return count


def _widened(body: Any, follows: Sequence[Follows], named: Sequence[str]) -> Any | None:
    text = wire.dumps(body).decode()
    if not any(one in text for one in named):
        return None

    def wider(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: wider(one) for key, one in value.items()}
        if isinstance(value, list):
            more = [one.new.code for one in follows if one.old in value]
            return [wider(one) for one in value] + [code for code in dict.fromkeys(more) if code not in value]
        return value

    return wider(body)
