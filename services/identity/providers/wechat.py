"""WeChat's mini-programs: `wx.login` gives a code for the person, the phone button another one for their phone.

The session key that comes with the person is for decrypting on our side, which we never do: it is dropped at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog

from services.identity import rules
from services.identity.providers.contract import Garbled, Outside, Told, ask, text
from services.identity.rules import Phone
from shared import errors
from shared.texts import say

log = structlog.get_logger(__name__)

_WRONG: Final = {40029, 40163, 41008}
"""No such code, used already, no code at all."""
_TOKEN_OVER: Final = {40001, 40014, 42001}
_TOO_OFTEN: Final = {45009, 45011}
_BARRED: Final = 40226
_EARLY: Final = 300
"""Seconds before its end at which the token is renewed: the old one works for so long beside the new one."""


class WeChat:
    """One mini-program."""

    name = "wechat"

    def __init__(self, appid: str, secret: str, *, url: str) -> None:
        self.facts: Mapping[str, str] = {"client_id": appid}
        self._appid = appid
        self._secret = secret
        self._url = url.rstrip("/")
        self._token = ""
        self._token_until = 0.0
        self._renewing = asyncio.Lock()

    async def exchange(self, told: Told) -> Outside:
        """Whom a `wx.login` code stands for, with their phone if its code came along."""
        query = {
            "appid": self._appid,
            "secret": self._secret,
            "js_code": told.code,
            "grant_type": "authorization_code",
        }
        _, session, _ = await ask("GET", f"{self._url}/sns/jscode2session", params=query)
        _judge(session)
        subject = text(session, "openid")
        if told.phone_code is None:
            return Outside(subject)
        return Outside(subject, phone=await self._phone(told.phone_code))

    async def _phone(self, code: str) -> Phone:
        token = await self._access()
        found = await self._number(code, token)
        if found.get("errcode") in _TOKEN_OVER:  # another process has renewed it
            found = await self._number(code, await self._access(refused=token))
        _judge(found)
        info = found.get("phone_info")
        if not isinstance(info, dict):
            raise Garbled("no_phone_info")
        mark = info.get("watermark")
        if isinstance(mark, dict) and mark.get("appid") not in (None, self._appid):
            raise errors.CodeWrong
        try:
            return rules.normalise_phone(
                f"+{text(info, 'countryCode', most=8)}{text(info, 'purePhoneNumber', most=32)}"
            )
        except rules.PhoneMalformed as refused:
            raise errors.PhoneMalformed.at("/phone_code", refused.code) from None

    async def _number(self, code: str, token: str) -> dict[str, Any]:
        url, query = f"{self._url}/wxa/business/getuserphonenumber", {"access_token": token}
        _, found, _ = await ask("POST", url, params=query, json={"code": code})
        return found

    async def _access(self, refused: str | None = None) -> str:
        """The token for calls in the mini-program's own name; renewed when it ends, or was refused."""
        async with self._renewing:
            if self._token in ("", refused) or time.monotonic() >= self._token_until:
                query = {"grant_type": "client_credential", "appid": self._appid, "secret": self._secret}
                _, found, _ = await ask("GET", f"{self._url}/cgi-bin/token", params=query)
                _judge(found)
                self._token = text(found, "access_token", most=1024)
                life = found.get("expires_in")
                self._token_until = time.monotonic() + max(
                    30, (life if isinstance(life, int) and life > 0 else 0) - _EARLY
                )
            return self._token


def _judge(found: Mapping[str, Any]) -> None:
    """Refuse what WeChat refuses: the caller's fault, a crowd, or ours."""
    code = found.get("errcode", 0)
    if code == 0:
        return
    if code in _WRONG:
        raise errors.CodeWrong
    if code in _TOO_OFTEN:
        raise errors.TooMany(retry_after=60)
    if code == _BARRED:
        raise errors.NotAllowed(say("WeChat does not let this user log in here.", "微信已拦截该用户登录。"))
    raise Garbled(f"errcode_{code}" if isinstance(code, int) else "errcode")
