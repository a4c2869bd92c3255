"""What is free, for everybody's programs: a Realtime Paged Data Exchange feed, and the page that describes it."""

from __future__ import annotations

import html
import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from services.partners.schemas import OpenPageOut
from services.partners.sql import opening as sql
from shared import web, wire
from shared.pages import LAST
from shared.texts import say
from shared.web import EVERYWHERE, Ctx, Who

router = APIRouter(prefix="/v1/open", tags=["open data"], responses=EVERYWHERE)

LICENSE: Final = "https://creativecommons.org/licenses/by/4.0/"
_PAGE: Final = 500
_KEPT: Final = {"Cache-Control": "public, max-age=3600"}
"""A page with items stays true: what changes moves to a later one, and its `next` leads there."""
_FRESH: Final = {"Cache-Control": "public, max-age=5"}
_CONTEXT: Final = "https://openactive.io/"
_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class _Described(JSONResponse):
    media_type = "application/ld+json"


def _data(slot_id: uuid.UUID, body: dict[str, Any], base: str) -> dict[str, Any]:
    """A slot as OpenActive's model says it."""
    place = body["place"]
    at = {"@type": "Place", "identifier": place["id"], "name": place["name"]}
    if place["address"]:
        at["address"] = place["address"]
    if place["lat"] is not None and place["lon"] is not None:
        at["geo"] = {"@type": "GeoCoordinates", "latitude": place["lat"], "longitude": place["lon"]}
    return {
        "@context": _CONTEXT,
        "@type": "Slot",
        "@id": f"{base}/v1/slots/{slot_id}",
        "identifier": str(slot_id),
        "facilityUse": {
            "@type": "FacilityUse",
            "name": body["title"],
            "provider": {"@type": "Organization", "identifier": body["community"]},
            "category": [body["service"], place["kind"]],
            "location": at,
        },
        **{name: body[name] for name in ("startDate", "endDate", "duration", "remainingUses", "maximumUses")},
    }


@router.get(
    "/slots",
    operation_id="open.slots.list",
    response_model=OpenPageOut,
    response_model_exclude_none=True,
    summary=say("What is free, as an open feed (RPDE)", "开放数据：可预约场次（RPDE）"),
    description=say(
        "Follow `next` until a page has no items, then ask that page again every few seconds. Deleted items are kept for a "
        "week at least.",
        "沿 `next` 读取直到空页，之后每隔数秒重新请求该页。已删除的条目至少保留一周。",
    ),
)
async def slots(
    ctx: Ctx,
    who: Who,  # noqa: ARG001 - answers only through the gateway
    after: Annotated[
        int,
        Query(
            alias="afterChangeNumber",
            ge=0,
            le=LAST,
            description=say("`modified` of the last item.", "上一页最后一条的 `modified`。"),
        ),
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description=say("Most items.", "最多条数。"))] = _PAGE,
) -> Response:
    rows = await ctx.db.read(sql.page, after, limit)
    base = ctx.settings.public_url.rstrip("/")
    items = [
        {"state": "deleted", "kind": "Slot", "id": row["slot_id"], "modified": row["change_no"]}
        if row["body"] is None
        else {
            "state": "updated",
            "kind": "Slot",
            "id": row["slot_id"],
            "modified": row["change_no"],
            "data": _data(row["slot_id"], row["body"], base),
        }
        for row in rows
    ]
    behind = rows[-1]["change_no"] if rows else after
    following = f"{base}/v1/open/slots?afterChangeNumber={behind}" + (f"&limit={limit}" if limit != _PAGE else "")
    return web.plain_json({"next": following, "items": items, "license": LICENSE}, 200, _KEPT if rows else _FRESH)


@router.get(
    "",
    operation_id="open.dataset.read",
    response_model=dict[str, Any],
    response_class=_Described,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
    summary=say("About the open data", "开放数据说明"),
    description=say("A page with JSON-LD inside, or the JSON-LD alone.", "含 JSON-LD 的网页，或仅 JSON-LD。"),
)
async def dataset(request: Request, ctx: Ctx, who: Who) -> Response:  # noqa: ARG001 - answers only through the gateway
    described = _described(ctx.settings.public_url.rstrip("/"))
    if "text/html" not in request.headers.get("accept", ""):
        return _Described(described, 200, {"Vary": "Accept"})
    headers = {"Vary": "Accept", "Content-Security-Policy": _POLICY}
    return Response(_page(described), 200, headers, "text/html; charset=utf-8")


def _described(base: str) -> dict[str, Any]:
    return {
        "@context": ["https://schema.org/", _CONTEXT],
        "@type": "Dataset",
        "@id": f"{base}/v1/open",
        "url": f"{base}/v1/open",
        "name": "Linli 邻里",
        "description": "What can be booked in the neighbourhood, and how many places are free. 社区可预约场次与剩余名额。",
        "inLanguage": ["zh-CN", "en"],
        "isAccessibleForFree": True,
        "license": LICENSE,
        "documentation": f"{base}/docs",
        "distribution": [
            {
                "@type": "DataDownload",
                "name": "Slot",
                "additionalType": "https://openactive.io/Slot",
                "encodingFormat": "application/vnd.openactive.rpde+json; version=1",
                "contentUrl": f"{base}/v1/open/slots",
            }
        ],
    }


def _page(described: dict[str, Any]) -> str:
    inside = wire.dumps(described).decode().replace("<", "\\u003c")
    feed = html.escape(described["distribution"][0]["contentUrl"])
    return (
        '<!doctype html>\n<html lang="zh"><head><meta charset="utf-8"><title>邻里 Linli · 开放数据 Open data</title>\n'
        f'<script type="application/ld+json">{inside}</script></head>\n'
        f"<body><h1>邻里 Linli</h1><p>{html.escape(described['description'])}</p>\n"
        f'<p>RPDE: <a href="{feed}">{feed}</a></p>\n'
        f'<p>许可 License: <a href="{LICENSE}">CC BY 4.0</a></p></body></html>\n'
    )
