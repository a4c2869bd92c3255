"""The audit over HTTP: for auditors by region, and for residents about themselves."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from services.identity import actions
from services.identity.actions.audit import Checked
from services.identity.schemas.audit import AuditOut, BrokenOut, ByAccountOut, ByOut, LedgerOut, VerifyOut
from services.identity.sql.audit import Wanted
from shared import masking, pages, web, wire
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import Ctx, Who, Wide

router = APIRouter(tags=["privacy"])

Region = Annotated[
    str | None, Query(pattern=r"^[0-9]{2,12}$", description=say("Only below this region.", "仅此区划以内。"))
]
After = Annotated[int, Query(ge=0, lt=1 << 62, description=say("Behind this position.", "此位置之后。"))]


def _by(row: Any) -> ByAccountOut | None:
    if row["account_id"] is None:
        return None
    return ByAccountOut(
        account_id=row["account_id"], role=row["role"], region=row["prefix"], name=masking.name(row["name"])
    )


def _entry(row: Any) -> AuditOut:
    hash_ = row["hash"].hex() if row["hash"] is not None else None
    return AuditOut.model_validate({**dict(row), "hash": hash_, "by": _by(row)})


@router.get(
    "/audit",
    operation_id="identity.audit.list",
    response_model=Page[AuditOut],
    summary=say("What was done with people's data and with power over it", "审计记录"),
    description=say(
        "For auditors, in their regions, the newest first. `action` also names all that begin so: `people`.",
        "限审计员，仅其区域，最新在前。`action` 可只写前段，如 `people`。",
    ),
)
async def list_audit(
    ctx: Ctx,
    who: Who,
    region: Region = None,
    person: Annotated[uuid.UUID | None, Query(description=say("Only about this person.", "仅涉及此人。"))] = None,
    account: Annotated[uuid.UUID | None, Query(description=say("Only by this account.", "仅此账号。"))] = None,
    action: Annotated[
        str | None, Query(pattern=r"^[a-z_.-]{1,60}$", description=say("Only this.", "仅此操作。"))
    ] = None,
    since: Annotated[AwareDatetime | None, Query(alias="from", description=say("Not before.", "起。"))] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description=say("Before.", "止（不含）。"))] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    before = pages.after(cursor, int)
    wanted = Wanted(person_id=person, account_id=account, action=action, since=_bounded(since), until=_bounded(until))
    found = await ctx.db.read(actions.audit.entries, who, region, wanted, before, limit + 1)
    return web.private(pages.page(found, limit, _entry, lambda row: row["no"]))


def _bounded(moment: datetime | None) -> datetime | None:
    """A moment as the database can hold it."""
    if moment is None:
        return None
    return moment.replace(year=min(max(moment.year, 1970), 9000))


@router.get(
    "/audit/verify",
    operation_id="identity.audit.verify",
    response_model=VerifyOut,
    summary=say("Check the chain", "校验审计链"),
    description=say(
        "Computes every hash anew and names the first broken link. Without `after` it begins at the oldest entry kept.",
        "重新计算每条记录的哈希，指出第一处断裂。未给 `after` 时从最早保留的记录开始。",
    ),
)
async def verify_audit(
    ctx: Wide,
    who: Who,
    after: Annotated[
        int | None, Query(ge=0, lt=1 << 62, description=say("Behind this position.", "此位置之后。"))
    ] = None,
    limit: Annotated[int, Query(ge=1, le=20_000, description=say("Most links.", "最多条数。"))] = 10_000,
) -> Response:
    found: Checked = await ctx.db.read(actions.audit.verify, ctx.keys, who, after, limit)
    told = found._asdict() | {"broken": BrokenOut(**found.broken._asdict()) if found.broken else None}
    return web.private(VerifyOut(whole=found.broken is None, **told))


@router.get(
    "/audit/export",
    operation_id="identity.audit.export",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
    summary=say("Take a part of the chain away", "导出审计链"),
    description=say(
        "One JSON object a line: `start`, then `entry` (of other regions only `digest`) and signed `head`, then `end` with "
        "`next`. hash = SHA-256(hash before, digest); digest = SHA-256 of `entry` as canonical JSON.",
        "每行一个 JSON：`start`、`entry`（其他区域仅 `digest`）、已签名的 `head`、最后为 `end`（含 `next`）。"
        "hash = SHA-256(前一 hash, digest)；digest = `entry` 规范 JSON 的 SHA-256。",
    ),
)
async def export_audit(
    ctx: Wide,
    who: Who,
    region: Region = None,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=2000, description=say("Most entries.", "最多条数。"))] = 1000,
) -> Response:
    lines = await ctx.db.run(actions.audit.export, who, region, after, limit)
    return Response(
        b"".join(wire.dumps(one) + b"\n" for one in lines), 200, {"Cache-Control": "no-store"}, "application/x-ndjson"
    )


def _seen(row: Any, approvers: dict[int, str]) -> LedgerOut:
    data = row["data"]
    by, approver = _by(row), approvers.get(data.get("approved_by", 0))
    return LedgerOut(
        at=row["at"],
        action=row["action"],
        what=data.get("fields", []),
        reason=row["reason"],
        by=ByOut(role=by.role, region=by.region, name=by.name) if by else None,
        is_self=row["by_person_id"] == row["person_id"],
        approved_by=masking.name(approver) if approver else None,
        service=data.get("service"),
        place_id=data.get("place_id"),
    )


async def _ledger(ctx: Ctx, who: Who, person_id: uuid.UUID | None, limit: int, cursor: str | None) -> Response:
    before = pages.after(cursor, int)
    found, approvers = await ctx.db.run(actions.audit.ledger, who, person_id, before, limit + 1)
    return web.private(pages.page(found, limit, lambda row: _seen(row, approvers), lambda row: row["no"]))


@router.get(
    "/me/ledger",
    operation_id="identity.me.ledger",
    response_model=Page[LedgerOut],
    summary=say("Who saw what of me, when and why", "谁在何时因何查看了我的信息"),
)
async def read_mine(ctx: Ctx, who: Who, limit: Limit = 50, cursor: Cursor = None) -> Response:
    return await _ledger(ctx, who, None, limit, cursor)


@router.get(
    "/people/{person_id}/ledger",
    operation_id="identity.people.ledger",
    response_model=Page[LedgerOut],
    summary=say("Who saw what of somebody I act for", "谁查看了所代办人员的信息"),
    description=say(
        "For guardians, proxies for everything, and at the desk; the desk's look is in the ledger itself.",
        "限监护人、全权受委托人及窗口人员；窗口的查看也会被记录。",
    ),
)
async def read_theirs(person_id: uuid.UUID, ctx: Ctx, who: Who, limit: Limit = 50, cursor: Cursor = None) -> Response:
    return await _ledger(ctx, who, person_id, limit, cursor)
