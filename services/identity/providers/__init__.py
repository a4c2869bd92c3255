"""Logins of elsewhere as plug-ins: each takes what its own app was given and says whom that stands for.

A provider without its secrets is off. What goes wrong out there becomes one of three answers, the same for all: the code
is wrong (401), the provider does not answer (503), or it takes too long (504). The last two name the provider and the
other ways to log in; logging in by phone never asks anybody outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpx
import structlog
from pydantic import SecretStr

from services.identity.providers.alipay import Alipay
from services.identity.providers.contract import Garbled, Outside, Provider, Told
from services.identity.providers.oidc import Oidc
from services.identity.providers.wechat import WeChat
from services.identity.providers.zheliban import Zheliban
from shared import errors
from shared.settings import Settings
from shared.texts import choose, say

__all__ = ["NOTES", "TITLES", "Garbled", "Outside", "Provider", "Providers", "Told"]

log = structlog.get_logger(__name__)

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


AT_ONCE: Final = 64
"""Calls to one provider; a crowd behind a slow one waits in line and not in connections."""


def _open(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() or None if secret is not None else None


class Providers:
    """The providers that are on, asked with patience and no more."""

    def __init__(self, on: Iterable[Provider], *, seconds: float) -> None:
        self._on: Mapping[str, Provider] = {one.name: one for one in on}
        self._seconds = seconds
        self._at_once = {name: asyncio.Semaphore(AT_ONCE) for name in self._on}

    @classmethod
    def of(cls, settings: Settings) -> Providers:
        """Those whose secrets are set. They must answer before the gateway stops waiting for us."""
        on: list[Provider] = []
        if settings.wechat_appid and (secret := _open(settings.wechat_secret)):
            on.append(WeChat(settings.wechat_appid, secret, url=settings.wechat_url))
        if settings.alipay_appid and settings.alipay_public_key and (secret := _open(settings.alipay_key)):
            aes = _open(settings.alipay_aes_key)
            on.append(Alipay(settings.alipay_appid, secret, settings.alipay_public_key, aes, url=settings.alipay_url))
        if settings.zheliban_appid and settings.zheliban_access_key and (secret := _open(settings.zheliban_secret_key)):
            on.append(
                Zheliban(settings.zheliban_appid, settings.zheliban_access_key, secret, url=settings.zheliban_url)
            )
        if settings.oidc_issuer and settings.oidc_client_id:
            secret = _open(settings.oidc_client_secret)
            on.append(
                Oidc(
                    settings.oidc_issuer,
                    settings.oidc_client_id,
                    secret,
                    settings.oidc_redirects,
                    settings.oidc_two_factors,
                )
            )
        return cls(on, seconds=min(settings.provider_seconds, settings.upstream_seconds * 0.8))

    def facts(self, name: str) -> Mapping[str, str] | None:
        """What an app must know to use a provider, none of it secret; None when it is off."""
        found = self._on.get(name)
        return None if found is None else found.facts

    async def exchange(self, name: str, told: Told) -> Outside:
        """Whom a provider says this is."""
        provider = self._on.get(name)
        if provider is None:
            raise errors.ProviderOff(**self._instead(name))
        try:
            async with asyncio.timeout(self._seconds), self._at_once[name]:
                return await provider.exchange(told)
        except (TimeoutError, httpx.TimeoutException) as error:
            log.warning("provider_slow", provider=name)
            raise errors.ProviderSlow(self._said(name, slow=True), retry_after=5, **self._instead(name)) from error
        except (httpx.HTTPError, Garbled) as error:
            # Neither the address nor the answer is written down: both carry secrets.
            log.warning("provider_down", provider=name, why=error.why if isinstance(error, Garbled) else "connection")
            raise errors.ProviderDown(self._said(name, slow=False), retry_after=5, **self._instead(name)) from None

    def _instead(self, name: str) -> dict[str, Any]:
        return {"provider": name, "other_ways": [one for one in ("phone", *self._on) if one != name]}

    @staticmethod
    def _said(name: str, *, slow: bool) -> str:
        en, zh = choose(TITLES[name], "en"), choose(TITLES[name], "zh")
        if slow:
            return say(f"{en} takes too long to answer; log in another way.", f"{zh}响应超时，请改用其他方式登录。")
        return say(f"{en} does not answer; log in another way.", f"{zh}暂时无法响应，请改用其他方式登录。")
