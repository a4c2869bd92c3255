"""A session that goes on, as every way of logging in answers with it."""

from __future__ import annotations

from services.identity import actions, tokens
from services.identity.actions.logins import Issued
from services.identity.schemas import AccountOut, TokensOut
from shared import tokens as access
from shared.claiming import NamedOut
from shared.web import Context


async def refreshed(ctx: Context, refresh_token: str) -> Issued | None:
    """The session that this token is the key to, gone on with; None when it is over, or there is none."""
    token = tokens.read(ctx.keys, refresh_token)
    if token is None:
        return None
    return await ctx.db.run(actions.logins.refresh_session, ctx.keys, token, demo=ctx.settings.demo)


def tokens_of(ctx: Context, issued: Issued) -> TokensOut:
    """A fresh access token beside the session's refresh token."""
    member = issued.member
    seconds = max(1, min(ctx.settings.access_seconds, int(issued.seconds_left)))
    return TokensOut(
        access_token=access.issue(
            ctx.keys,
            account_id=member.account_id,
            account_no=member.account_no,
            person_id=member.person_id,
            holder_no=member.holder_no,
            name=member.name,
            session_id=issued.session_id,
            seconds=seconds,
        ),
        expires_in=seconds,
        refresh_token=issued.refresh_token,
        account=AccountOut(
            id=member.account_id,
            person=NamedOut(id=member.person_id, name=member.name) if member.person_id else None,
        ),
    )
