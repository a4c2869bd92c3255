"""Lists in pages: `?limit=&cursor=` in, `{"items": […], "next": …}` out. Cursors are opaque and grant nothing."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, TypeVar, overload

from fastapi import Query

from shared import errors, wire
from shared.texts import say
from shared.web import Out

T = TypeVar("T")
K = TypeVar("K", datetime, uuid.UUID, int, str)
L = TypeVar("L", datetime, uuid.UUID, int, str)

LAST: Final = 2**53 - 1
"""The last position that a log can have: beyond it readers of JSON cannot tell one number from the next."""

Limit = Annotated[int, Query(ge=1, le=500, description=say("Most items on this page.", "本页最多条数。"))]
Cursor = Annotated[
    str | None, Query(max_length=200, description=say("`next` of the page before.", "上一页返回的 `next`。"))
]


class Page(Out, Generic[T]):
    """One page; `next` is null on the last."""

    items: list[T]
    next: str | None = None


def cursor(*key: datetime | uuid.UUID | int | str) -> str:
    """A cursor behind the item with this sort key."""
    parts = [part.isoformat() if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(wire.dumps(parts)).decode().rstrip("=")


def page(found: Sequence[T], limit: int, shown: Callable[[T], Any], key: Callable[[T], Any]) -> Page[Any]:
    """The first `limit` of what was found; if there was one more, `next` leads behind the last one's sort key."""
    following = None
    if len(found) > limit:
        last = key(found[limit - 1])
        following = cursor(*last) if isinstance(last, tuple) else cursor(last)
    return Page[Any](items=[shown(one) for one in found[:limit]], next=following)


@overload
def after(told: str | None, kind: type[K], /) -> K | None: ...


@overload
def after(told: str | None, kind: type[K], other: type[L], /) -> tuple[K, L] | None: ...


def after(told: str | None, *kinds: type[Any]) -> Any:
    """The sort key in a cursor, one value or two; None for the first page. Refuses a cursor that is not one of ours."""
    if told is None:
        return None
    try:
        parts = wire.loads(base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)))
        if not isinstance(parts, list) or len(parts) != len(kinds):
            raise ValueError(told)
        key = tuple(_read(part, kind) for part, kind in zip(parts, kinds, strict=True))
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error) as error:
        raise errors.Unprocessable.at("/cursor", "cursor", where="query") from error
    return key[0] if len(key) == 1 else key


def _read(part: Any, kind: type[Any]) -> Any:
    if kind is datetime:
        moment = datetime.fromisoformat(part)
        if moment.tzinfo is None:
            raise ValueError(part)
        return moment.astimezone(UTC)  # overflows for what no database stores
    if kind is int:
        if not isinstance(part, int) or abs(part) > LAST:
            raise ValueError(part)
        return part
    if not isinstance(part, str) or "\x00" in part:
        raise ValueError(part)
    return kind(part)
