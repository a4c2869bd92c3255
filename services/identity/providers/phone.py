"""Codes by phone: shown by a demo, sent by SMS where that is set up, and otherwise no way to log in."""

from __future__ import annotations

from typing import Final

from services.identity.providers.aliyun import Aliyun, Spent
from services.identity.providers.patience import Patience
from services.identity.rules import Phone
from shared import errors
from shared.texts import say

_REST: Final = 600
"""Seconds after which a phone that had its fill may try again: the service counts by the hour and by the day."""


class ByPhone:
    """Brings codes to mobiles; it is a `codes.Sender`."""

    def __init__(self, sms: Aliyun | None, patience: Patience, *, demo: bool) -> None:
        self._sms = sms
        self._patience = patience
        self._demo = demo

    @property
    def is_on(self) -> bool:
        """In a demo the answer itself brings the code."""
        return self._demo or self._sms is not None

    async def send(self, phone: Phone, code: str) -> None:
        """Send it, but in a demo; refuses a landline, where it would arrive as nothing."""
        sms = self._sms
        if self._demo:
            return
        if sms is None:
            raise errors.ProviderOff(
                say(
                    "No SMS service is set up here; log in another way.", "本平台尚未配置短信服务，请使用其他方式登录。"
                ),
                **self._patience.instead("phone"),
            )
        if phone.kind != "mobile":
            raise errors.Unprocessable.at(
                "/phone",
                "landline",
                say(
                    "Codes are sent by SMS, which a landline does not receive: give a mobile, or log in another way.",
                    "验证码以短信发送，固定电话无法接收，请使用手机号或改用其他方式登录。",
                ),
            )
        try:
            await self._patience.wait("phone", lambda: sms.send(phone, code))
        except Spent:
            raise errors.ProviderDown(
                say(
                    "The SMS service sends this phone no more codes for now; log in another way.",
                    "该号码的短信发送次数已达上限，请稍后再试或改用其他方式登录。",
                ),
                retry_after=_REST,
                **self._patience.instead("phone"),
            ) from None
