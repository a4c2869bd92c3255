"""What the gateway's routes are given: its parts, the request as the front door read it, and who asks."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import StringConstraints

from services.gateway.claiming import Call
from services.gateway.parts import Parts
from shared import errors
from shared.assertion import Caller


async def parts_of(request: Request) -> Parts:
    """The running gateway's parts."""
    parts: Parts = request.state.parts
    return parts


async def call_of(request: Request) -> Call:
    """This request as the front door read it."""
    call: Call = request.scope["linli.call"]
    return call


async def caller_of(request: Request) -> Caller:
    """Who asks, with roles and those they act for."""
    return await (await parts_of(request)).credentials.with_facts((await call_of(request)).caller)


Gate = Annotated["Parts", Depends(parts_of)]
Told = Annotated[Call, Depends(call_of)]
Who = Annotated[Caller, Depends(caller_of)]
Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}(-[0-9]{2})?$"), Path()]


def people(
    caller: Caller, persons: list[uuid.UUID] | None
) -> tuple[tuple[int, ...], frozenset[int], Mapping[int, Collection[str]]]:
    """The holders a question is for, whose guardian the caller is, and the services one may act in for some only.

    Refuses strangers.
    """
    limited = {one.holder_no: one.services for one in caller.acts_for if one.services is not None}
    known = {one.person_id: one.holder_no for one in caller.acts_for}
    guards = frozenset(one.holder_no for one in caller.acts_for if one.relation == "guardian")
    if caller.person_id is not None and caller.holder_no is not None:
        known[caller.person_id] = caller.holder_no
    if not persons:
        return (() if caller.holder_no is None else (caller.holder_no,)), guards, limited
    caller.known()
    if any(person not in known for person in persons):
        raise errors.NotYours
    return tuple(dict.fromkeys(known[person] for person in persons)), guards, limited
