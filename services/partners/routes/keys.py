"""Keys for partners' systems."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response

from services.partners.actions import keys as actions
from services.partners.actions import reach
from services.partners.schemas import KeyIn, KeyMadeOut, KeyOut
from shared import pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE, Ctx, Who, Wide

router = APIRouter(prefix="/v1/partners/keys", tags=["partners"], responses=EVERYWHERE)


def _values(row: Any) -> dict[str, Any]:
    return {**dict(row), "region": row["community"], "facility_id": row["place_id"]}


@router.get(
    "",
    operation_id="partners.keys.list",
    response_model=Page[KeyOut],
    summary=say("Keys of my region, or my own", "本区域或本账号的密钥"),
)
async def list_all(ctx: Ctx, who: Who, limit: Limit = 50, cursor: Cursor = None) -> Response:
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await ctx.db.read(actions.listed, who, after, limit + 1)
    return web.json(
        pages.page(found, limit, lambda row: KeyOut(**_values(row)), lambda row: (row["made_at"], row["id"]))
    )


@router.post(
    "",
    status_code=201,
    operation_id="partners.keys.create",
    response_model=KeyMadeOut,
    summary=say("Make a key for a partner", "为合作方创建密钥"),
    description=say(
        "Managers make keys for systems of their region. The key is shown once. It reaches no further than its types, its "
        "region, its place and its operations.",
        "管理人员为本区域的合作系统创建密钥，密钥只显示一次。权限限于所列类型、区域、场所与操作。",
    ),
)
async def make(told: KeyIn, ctx: Wide, who: Who) -> Response:
    wanted = actions.Wanted(
        told.name,
        reach.known(told.types),
        told.region,
        told.facility_id,
        reach.known_operations(told.operations),
        told.account_id,
    )
    row, key = await ctx.db.run(actions.make, who, wanted)
    return web.private(KeyMadeOut(**_values(row), key=key), 201, Location=f"/v1/partners/keys/{row['id']}")


@router.get(
    "/{key_id}",
    operation_id="partners.keys.read",
    response_model=KeyOut,
    summary=say("Read one key, without what it reads", "查看密钥信息（不含密钥本身）"),
)
async def read(key_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return web.json(KeyOut(**_values(await ctx.db.read(actions.readable, who, key_id))))


@router.delete(
    "/{key_id}",
    operation_id="partners.keys.delete",
    response_model=KeyOut,
    summary=say("Revoke a key", "吊销密钥"),
    description=say(
        "It is refused within two seconds; endpoints made with it are disabled. Again changes nothing.",
        "两秒内失效，以其创建的接口同时停用。重复操作无变化。",
    ),
)
async def revoke(key_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return web.json(KeyOut(**_values(await ctx.db.run(actions.revoke, who, key_id))))
