"""Regions merge and split, as counties decide it: codes end and point to those that follow, and nobody is left behind.

Run by whoever runs the deployment, while the town is quiet: every row of the old regions is touched in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from services.identity import sql
from shared import audit, clock, regions
from shared.db import Tx
from shared.regions import Follows, Region


class Impossible(Exception):
    """The regions cannot change like this; the sentence says why."""


class Changed(NamedTuple):
    """What a change did: how many codes ended, and how many rows went along by table."""

    follows: list[Follows]
    rows: dict[str, int]


async def _successor(tx: Tx, code: str, name: str | None, level: str, *, may_stand: bool) -> Region:
    if not regions.is_code(code) or regions.LEVELS[level] != len(code):
        raise Impossible(f"{code} is not the code of a {level}")
    above = regions.above(code)
    if above is not None and ((found := await sql.regions.known(tx, above)) is None or found["ended_on"] is not None):
        raise Impossible(f"{above}, to which {code} belongs, is not a region that stands")
    known = await sql.regions.known(tx, code)
    if known is None:
        if not name:
            raise Impossible(f"{code} is new and needs a name")
        return Region(code, name, level, above)
    if known["ended_on"] is not None or not may_stand:
        raise Impossible(f"{code} is there already" if known["ended_on"] is None else f"{code} has ended")
    return Region(code, known["name"], level, above)


async def _tree(tx: Tx, codes: Sequence[str]) -> list[list[Region]]:
    found = await sql.regions.trees(tx, codes)
    for code in codes:
        if code not in found:
            raise Impossible(f"{code} is not a region that stands")
    return [found[code] for code in codes]


async def merge(tx: Tx, old: Sequence[str], into: str, name: str | None, on: date) -> Changed:
    """Several regions of one level become one, a new one or one that stands."""
    trees = await _tree(tx, sorted(set(old)))
    levels = {len(tree[0].code) for tree in trees}
    if not trees or len(levels) > 1 or into in old:
        raise Impossible("regions of one level become another one")
    successor = await _successor(tx, into, name, trees[0][0].level, may_stand=True)
    return await _change(tx, regions.merged(trees, successor, await sql.regions.codes_below(tx, into)), "merge", on)


async def split(tx: Tx, old: str, into: Mapping[str, str], goes_to: Mapping[str, str], on: date) -> Changed:
    """One region becomes several new ones (code: name); `goes_to` says where those right below it belong."""
    (tree,) = await _tree(tx, [old])
    if len(into) < 2:
        raise Impossible("a region is split into two or more")
    parts = [await _successor(tx, code, name, tree[0].level, may_stand=False) for code, name in into.items()]
    children = {one.code for one in tree if one.parent_code == old}
    for child, part in goes_to.items():
        if child not in children or part not in into:
            raise Impossible(f"{child} does not go from {old} to {part}")
    return await _change(tx, regions.split(tree, parts, goes_to), "split", on)


async def _change(tx: Tx, follows: list[Follows], kind: str, on: date) -> Changed:
    if on > clock.today():
        raise Impossible(f"{on} is not yet there: change the regions on the day")
    await sql.regions.write(tx, follows, kind, on)
    rows = await sql.regions.carry(tx, follows, on)
    root = follows[0]
    await audit.record(
        tx,
        None,
        f"regions.{kind}",
        community=root.new.code,
        data={"follows": [[one.old, one.new.code] for one in follows], "rows": rows},
    )
    return Changed(follows, rows)
