"""Aliyun's SMS service (阿里云短信服务, API 2017-05-25): `SendSms` fills a template that was approved there with a code.

Each call is signed (ACS3-HMAC-SHA256) together with its hour and with a number that is used once, so whoever copies one
sends nothing with it. The service itself sends one phone one code a minute, five an hour and ten a day.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

from services.identity import rules
from services.identity.providers.contract import Garbled, ask
from services.identity.rules import Phone
from shared import clock, errors

_ALGORITHM: Final = "ACS3-HMAC-SHA256"
_NO_BODY: Final = hashlib.sha256(b"").hexdigest()
_ENOUGH: Final = "isv.BUSINESS_LIMIT_CONTROL"
_NO_MOBILE: Final = "isv.MOBILE_NUMBER_ILLEGAL"
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z._]{1,63}")
"""What their refusals look like; no number of anybody fits into it."""


class Spent(Exception):
    """One phone was sent as many messages as the service sends to one."""


class Aliyun:
    """One signature and one template of ours over there."""

    def __init__(self, key_id: str, key_secret: str, *, sign_name: str, template: str, url: str) -> None:
        """`template` has one variable, `code`."""
        self._key_id = key_id
        self._key_secret = key_secret.encode()
        self._sign_name = sign_name
        self._template = template
        self._url = url.rstrip("/")
        self._host = httpx.URL(url).netloc.decode()

    async def send(self, phone: Phone, code: str) -> None:
        """Returns when the service has taken it. Raises Spent, errors.PhoneMalformed, Garbled, or what httpx raises."""
        query = _canonical(
            {
                "PhoneNumbers": rules.national_phone(phone.digits),
                "SignName": self._sign_name,
                "TemplateCode": self._template,
                "TemplateParam": json.dumps({"code": code}, separators=(",", ":")),
            }
        )
        signed = {
            "host": self._host,
            "x-acs-action": "SendSms",
            "x-acs-content-sha256": _NO_BODY,
            "x-acs-date": clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": "2017-05-25",
        }
        headers = signed | {"Authorization": authorization(self._key_id, self._key_secret, query, signed)}
        status, found, _ = await ask("POST", f"{self._url}/?{query}", headers=headers)
        _judge(status, found)


def authorization(key_id: str, key_secret: bytes, query: str, signed: Mapping[str, str]) -> str:
    """The header that signs a POST without a body; `query` is canonical, the names in `signed` are lower case."""
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed))
    canonical = f"POST\n/\n{query}\n{lines}\n{names}\n{_NO_BODY}"
    signing = f"{_ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(key_secret, signing.encode(), "sha256").hex()
    return f"{_ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}"


def _canonical(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query))


def _judge(status: int, found: Mapping[str, Any]) -> None:
    """Refuse what Aliyun refuses: too many for one phone, a number that is none, or a fault of ours or theirs."""
    code = found.get("Code")
    if status == 200 and code == "OK":
        return
    if code == _ENOUGH:
        raise Spent
    if code == _NO_MOBILE:
        raise errors.PhoneMalformed.at("/phone", rules.PhoneMalformed.code)
    raise Garbled(code if isinstance(code, str) and _WORD.fullmatch(code) else f"status_{status}")
