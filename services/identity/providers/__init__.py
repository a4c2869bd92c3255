"""Logins of elsewhere as plug-ins: each takes what its own app was given and says whom that stands for.

A provider without its secrets is off. What goes wrong out there becomes one of three answers, the same for all: the code
is wrong (401), the provider does not answer (503), or it takes too long (504). The last two name the provider and the
other ways to log in. Codes by phone are ours, and somebody outside only carries them: nobody is asked when one comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import SecretStr

from services.identity.providers.alipay import Alipay
from services.identity.providers.aliyun import Aliyun
from services.identity.providers.contract import Garbled, Outside, Provider, Told
from services.identity.providers.oidc import Oidc
from services.identity.providers.patience import NOTES, TITLES, Patience
from services.identity.providers.phone import ByPhone
from services.identity.providers.wechat import WeChat
from services.identity.providers.zheliban import Zheliban
from shared import errors
from shared.settings import Settings

__all__ = ["NOTES", "TITLES", "Garbled", "Outside", "Provider", "Providers", "Told"]


def _open(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() or None if secret is not None else None


def _sms(settings: Settings) -> Aliyun | None:
    """Who sends messages, once all that it needs is set."""
    secret = _open(settings.aliyun_key_secret)
    if not (settings.aliyun_key_id and secret and settings.aliyun_sign_name and settings.aliyun_template):
        return None
    return Aliyun(
        settings.aliyun_key_id,
        secret,
        sign_name=settings.aliyun_sign_name,
        template=settings.aliyun_template,
        url=settings.aliyun_url,
    )


class Providers:
    """The providers that are on, asked with patience and no more; `phone` brings codes."""

    def __init__(self, on: Iterable[Provider], *, sms: Aliyun | None, demo: bool, seconds: float) -> None:
        self._on: Mapping[str, Provider] = {one.name: one for one in on}
        by_phone = ("phone",) if demo or sms is not None else ()
        self._patience = Patience((*by_phone, *self._on), seconds=seconds)
        self.phone = ByPhone(sms, self._patience, demo=demo)

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
        seconds = min(settings.provider_seconds, settings.upstream_seconds * 0.8)
        return cls(on, sms=_sms(settings), demo=settings.demo, seconds=seconds)

    def facts(self, name: str) -> Mapping[str, str] | None:
        """What an app must know to use a provider, none of it secret; None when it is off."""
        found = self._on.get(name)
        return None if found is None else found.facts

    async def exchange(self, name: str, told: Told) -> Outside:
        """Whom a provider says this is."""
        provider = self._on.get(name)
        if provider is None:
            raise errors.ProviderOff(**self._patience.instead(name))
        return await self._patience.wait(name, lambda: provider.exchange(told))
