"""How long whoever is outside may take, and in which words it is told when they fail: the same for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

import httpx
import structlog

from services.identity.providers.contract import Garbled
from shared import errors
from shared.texts import choose, say

log = structlog.get_logger(__name__)

T = TypeVar("T")

TITLES: Final = {
    "phone": say("code by phone", "手机验证码"),
    "wechat": say("WeChat", "微信"),
    "alipay": say("Alipay", "支付宝"),
    "zheliban": say("Zheliban", "浙里办"),
    "oidc": say("Staff login", "工作人员统一登录"),
}
NOTES: Final = {
    "phone": say(
        "A text message can be read by whoever has your phone or takes over your number. Tell nobody the code; nobody of "
        "the community asks for it. An app login is safer.",
        "持有您手机或冒用您号码的人可以看到短信。请勿将验证码告诉任何人，社区工作人员不会索要。使用应用登录更安全。",
    ),
}
"""What whoever logs in this way should know before they do."""
_ASKED: Final = TITLES | {"phone": say("The SMS service", "短信服务")}
"""Who does not answer, where that is not the way itself."""

AT_ONCE: Final = 64
"""Calls to one provider; a crowd behind a slow one waits in line and not in connections."""


class Patience:
    """Of one deployment: the ways to log in that are on here, and how many seconds somebody outside may take."""

    def __init__(self, ways: Iterable[str], *, seconds: float) -> None:
        self._at_once = {name: asyncio.Semaphore(AT_ONCE) for name in ways}
        self._seconds = seconds

    async def wait(self, name: str, asked: Callable[[], Awaitable[T]]) -> T:
        """What a provider says, as long as it says it in time and in the words it documents."""
        try:
            async with asyncio.timeout(self._seconds), self._at_once[name]:
                return await asked()
        except (TimeoutError, httpx.TimeoutException) as error:
            log.warning("provider_slow", provider=name)
            raise errors.ProviderSlow(self._said(name, slow=True), retry_after=5, **self.instead(name)) from error
        except (httpx.HTTPError, Garbled) as error:
            # Neither the address nor the answer is written down: both carry secrets.
            log.warning("provider_down", provider=name, why=error.why if isinstance(error, Garbled) else "connection")
            raise errors.ProviderDown(self._said(name, slow=False), retry_after=5, **self.instead(name)) from None

    def instead(self, name: str) -> dict[str, Any]:
        """Which way does not work, and which others are on."""
        return {"provider": name, "other_ways": [one for one in self._at_once if one != name]}

    @staticmethod
    def _said(name: str, *, slow: bool) -> str:
        en, zh = choose(_ASKED[name], "en"), choose(_ASKED[name], "zh")
        if slow:
            return say(f"{en} takes too long to answer; log in another way.", f"{zh}响应超时，请改用其他方式登录。")
        return say(f"{en} does not answer; log in another way.", f"{zh}暂时无法响应，请改用其他方式登录。")
