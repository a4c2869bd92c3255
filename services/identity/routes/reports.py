"""Yearly reports over HTTP, for auditors."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, astuple, fields
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from services.identity import actions
from services.identity.routes.audit import Region
from services.identity.schemas.reports import MinorsOut, TallyOut
from services.identity.sql.reports import Line
from shared import web
from shared.texts import say
from shared.web import Ctx, Who

router = APIRouter(tags=["privacy"])
PRIVATE = {"Cache-Control": "no-store"}


@router.get(
    "/reports/minors/{year}",
    operation_id="identity.reports.minors",
    response_model=MinorsOut,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    summary=say("What was done with what is known of minors in a year", "未成年人个人信息保护年度统计"),
    description=say(
        "For auditors, in their regions: looks with and without somebody else's word, by office and deed; what was refused; "
        "guardians' consents for children under 14; incidents. Counts only. Who is closed by now is counted only where the "
        "deed itself says that it was about a child.",
        "限审计员及其区域：按岗位与操作统计经批准与无须批准的查看、未获准的申请、监护人代未满 14 周岁者的同意与撤回、事件。仅含数量；已注销人员仅在操作本身表明其为未成年人时计入。",
    ),
)
async def minors(
    ctx: Ctx,
    who: Who,
    year: Annotated[int, Path(ge=2000, le=2200, description=say("The year.", "年份。"))],
    region: Region = None,
    wanted: Annotated[
        Literal["json", "csv"], Query(alias="format", description=say("How it is told.", "返回格式。"))
    ] = "json",
) -> Response:
    regions, lines = await ctx.db.run(actions.reports.minors, who, year, region)
    if wanted == "csv":
        return Response(_csv(lines), headers=PRIVATE, media_type="text/csv; charset=utf-8")
    items = [TallyOut.model_validate(asdict(one)) for one in lines]
    return web.private(MinorsOut(year=year, regions=list(regions), items=items))


def _csv(lines: list[Line]) -> str:
    """A table for a spreadsheet; every word in it is one of ours."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(one.name for one in fields(Line))
    writer.writerows(astuple(one) for one in lines)
    return "\ufeff" + file.getvalue()
