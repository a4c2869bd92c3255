"""Notices to poll for: with a cursor of one's own, or under a name."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import StringConstraints, WithJsonSchema

from services import notice_types
from services.partners.actions import reach
from services.partners.actions import reading as actions
from services.partners.schemas import (
    CommitIn,
    ConsumerIn,
    ConsumerOut,
    KindList,
    LeaseIn,
    LeaseOut,
    NoticesOut,
    Region,
    TypeOut,
    TypesOut,
)
from shared import clock, errors, pages, web, wire
from shared.pages import LAST, Cursor, Limit, Page
from shared.texts import choose, language, say
from shared.web import EVERYWHERE, Ctx, Who, Wide, refuses

router = APIRouter(prefix="/v1/partners", tags=["partners"], responses=EVERYWHERE)

Behind = Annotated[
    str,
    StringConstraints(pattern=r"^(latest|[0-9]{1,16})$"),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "maximum": LAST, "minimum": 0}, {"const": "latest", "type": "string"}]}
    ),
]
"""Text to the parser: of a number or a word it would say twice what is wrong, and it takes `1_0` for a number."""
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,79}$"),
    Path(description=say("The reader's name.", "读者名称。")),
]


@router.get(
    "/notices",
    operation_id="partners.notices.list",
    response_model=NoticesOut,
    summary=say("Read notices on behind a position", "按位置读取通知"),
    description=say(
        "In the order of positions, none left out however they were committed. No `after`: from the oldest that is kept (30 "
        "days). `after=latest`: only where the log ends now. With `wait` the answer comes as soon as there is something.",
        "按位置顺序返回，不会遗漏。省略 `after`：从保留的最早通知（30 天）开始；`after=latest`：仅返回日志当前末尾。带 `wait` 时有新通知即返回。",
    ),
    responses=refuses(errors.Gone, errors.NotInScope),
)
async def poll(
    ctx: Wide,
    who: Who,
    after: Annotated[
        Behind | None,
        Query(description=say("A position, or `latest`.", "位置，或 `latest`。")),
    ] = None,
    types: Annotated[
        list[KindList] | None,
        Query(
            max_length=100,
            description=say("Types or families; repeatable, or with commas.", "通知类型或类别，可重复或以逗号分隔。"),
        ),
    ] = None,
    community: Annotated[
        Region | None, Query(description=say("A region code; all below it.", "区划代码（含下级）。"))
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description=say("Most items.", "最多条数。"))] = 100,
    wait: Annotated[int, Query(ge=0, le=30, description=say("Seconds to wait.", "等待秒数。"))] = 0,
) -> Response:
    kinds = reach.known([kind for one in types or ["*"] for kind in one.split(",")], where="query")
    behind: int | Literal["latest"] | None = None if after is None else "latest" if after == "latest" else int(after)
    found = await actions.poll(ctx.db, who, actions.Wanted(behind, kinds, community or "", limit), wait, ctx.stopping)
    return web.plain_json({"items": found.items, "next": found.next, "done": found.done})


@router.get(
    "/types",
    operation_id="partners.types.list",
    response_model=TypesOut,
    summary=say("Every kind of notice", "全部通知类型"),
)
async def types(request: Request, who: Who) -> Response:  # noqa: ARG001 - answers only through the gateway
    lang = language(request.headers.get("accept-language"))
    items = [
        TypeOut(
            name=kind.name,
            subject=choose(kind.subject, lang),
            about=choose(kind.about, lang),
            data=kind.data.model_json_schema(),
            example=kind.example,
        )
        for kind in notice_types()
    ]
    return web.json(TypesOut(items=items), 200, {"Cache-Control": "public, max-age=300", "Vary": "Accept-Language"})


@router.get(
    "/consumers",
    operation_id="partners.consumers.list",
    response_model=Page[ConsumerOut],
    summary=say("My readers", "我的读者"),
)
async def list_consumers(ctx: Ctx, who: Who, limit: Limit = 50, cursor: Cursor = None) -> Response:
    after = pages.after(cursor, str)
    found = await ctx.db.read(actions.consumers, who, after or "", limit + 1)
    return web.json(pages.page(found, limit, lambda row: ConsumerOut(**dict(row)), lambda row: row["name"]))


@router.get(
    "/consumers/{name}",
    operation_id="partners.consumers.read",
    response_model=ConsumerOut,
    summary=say("Read one reader", "查看一个读者"),
)
async def read_consumer(name: Name, ctx: Ctx, who: Who) -> Response:
    return web.json(ConsumerOut(**dict(await ctx.db.read(actions.consumer, who, name))))


@router.put(
    "/consumers/{name}",
    operation_id="partners.consumers.replace",
    response_model=ConsumerOut,
    summary=say("Make a reader, or change what it reads", "创建读者或修改其读取范围"),
    description=say(
        "A new one begins at `start`; of one that is there only the filters change. Give every worker a name of its own.",
        "新读者从 `start` 开始；已有读者仅修改筛选条件。每个工作进程请使用各自的名称。",
    ),
    responses={201: {"model": ConsumerOut, "description": say("Made.", "已创建。")}, **refuses(errors.NotInScope)},
)
async def put_consumer(name: Name, body: ConsumerIn, ctx: Wide, who: Who) -> Response:
    kinds = reach.known(body.types)
    row, is_new = await ctx.db.run(actions.put_consumer, who, name, kinds, body.community, body.start)
    return web.json(ConsumerOut(**dict(row)), 201 if is_new else 200)


@router.delete(
    "/consumers/{name}",
    status_code=204,
    operation_id="partners.consumers.delete",
    summary=say("Forget a reader", "删除读者"),
)
async def delete_consumer(name: Name, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.delete_consumer, who, name)
    return Response(status_code=204)


@router.post(
    "/consumers/{name}/lease",
    operation_id="partners.consumers.lease",
    response_model=LeaseOut,
    summary=say("Borrow what comes next", "租借后续通知"),
    description=say(
        "What is not committed before the lease ends is lent again. `lease` is null when there was nothing.",
        "租约结束前未提交的通知会重新发放。没有通知时 `lease` 为空。",
    ),
    responses=refuses(errors.Leased, errors.Gone),
)
async def lease(name: Name, body: LeaseIn, ctx: Wide, who: Who) -> Response:
    lent = await ctx.db.run(actions.lend, who, name, limit=body.limit, seconds=body.seconds)
    return Response(
        wire.dumps(
            {
                "lease": lent.lease,
                "items": lent.items,
                "expires_at": clock.local(lent.expires_at) if lent.expires_at else None,
            }
        ),
        media_type="application/json",
    )


@router.post(
    "/consumers/{name}/commit",
    operation_id="partners.consumers.commit",
    response_model=ConsumerOut,
    summary=say("Say what was dealt with", "提交已处理的位置"),
    responses=refuses(errors.LeaseLost),
)
async def commit(name: Name, body: CommitIn, ctx: Ctx, who: Who) -> Response:
    return web.json(ConsumerOut(**dict(await ctx.db.run(actions.commit, who, name, body.lease, body.position))))
