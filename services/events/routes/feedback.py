"""What those who came say of it: events and series have the same routes, each under its own name."""

from __future__ import annotations

import uuid
from datetime import datetime

from fastapi import APIRouter, Depends, Response

from services.events.actions import feedback
from services.events.routes.organised import EventId
from services.events.schemas import FeedbackIn, FeedbackListOut, FeedbackOut
from shared import errors, pages, web
from shared.pages import Cursor, Limit
from shared.texts import say
from shared.web import EVERYWHERE, Ctx, Who, Wide, refuses


def router(kind: str, collection: str) -> APIRouter:
    """The routes of what is said of one kind, `/v1/events/<collection>/{event_id}/feedback`."""
    made = APIRouter(
        prefix=f"/v1/events/{collection}",
        tags=["events"],
        responses=EVERYWHERE,
        dependencies=[Depends(web.caller)],
    )

    @made.get(
        "/{event_id}/feedback",
        operation_id=f"events.{collection}.read_feedback",
        response_model=FeedbackListOut,
        summary=say("How it was: the average; words for staff", "评价：平均分；文字仅工作人员可见"),
    )
    async def read_feedback(
        event_id: EventId, ctx: Wide, who: Who, limit: Limit = 50, cursor: Cursor = None
    ) -> Response:
        after = pages.after(cursor, datetime, uuid.UUID)
        count, average, items = await ctx.db.read(feedback.said, ctx.keys, who, kind, event_id, after, limit + 1)
        last = items[limit - 1] if len(items) > limit else None
        return web.json(
            FeedbackListOut(
                count=count,
                average=average,
                items=[FeedbackOut(**one) for one in items[:limit]],
                next=pages.cursor(last["made_at"], last["id"]) if last is not None else None,
            )
        )

    @made.post(
        "/{event_id}/feedback",
        operation_id=f"events.{collection}.say_feedback",
        status_code=201,
        response_model=FeedbackOut,
        summary=say("Say how it was, once, if one came", "评价活动（到场者，限一次）"),
        responses=refuses(errors.NotAttended, errors.TooEarly, errors.Exists, errors.NotYours),
    )
    async def say_feedback(event_id: EventId, told: FeedbackIn, ctx: Ctx, who: Who) -> Response:
        feedback_id, made_at = await ctx.db.run(
            feedback.say, ctx.keys, who, kind, event_id, person_id=told.person, stars=told.stars, text=told.text
        )
        return web.json(FeedbackOut(id=feedback_id, stars=told.stars, text=told.text, made_at=made_at), 201)

    return made
