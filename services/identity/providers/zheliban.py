"""浙里办, the province's own app: a ticket stands for somebody whose name and number the authority has checked.

Every call is signed with the application's keys; the gateway there accepts no clock that is more than 90 seconds off.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, Final

from services.identity import rules
from services.identity.providers.contract import Garbled, Outside, Told, ask, text
from services.identity.rules import Document, DocumentKind, Phone
from shared import clock, errors

_TICKET: Final = "/restapi/prod/IC33000020220329000007/uc/sso/access_token"
_PERSON: Final = "/restapi/prod/IC33000020220329000008/uc/sso/getUserInfo"
_CHECKED: Final = "3"
"""The authority has compared the face with the number; below that it knows what somebody typed."""
_KINDS: Final = (DocumentKind.RESIDENT_ID, DocumentKind.HK_MO_TW_RESIDENCE, DocumentKind.FOREIGNER_2023)
_REFUSED: Final = {
    "Invalid signature": "wrong_secret",
    "Invalid access key": "wrong_access_key",
    "Clock skew exceeded": "our_clock_is_off",
    "The route_id is forbidden.": "not_authorised",
}


class Zheliban:
    """One application of ours over there."""

    name = "zheliban"

    def __init__(self, appid: str, access_key: str, secret_key: str, *, url: str) -> None:
        self.facts: Mapping[str, str] = {"client_id": appid}
        self._appid = appid
        self._access_key = access_key
        self._secret_key = secret_key.encode()
        self._url = url.rstrip("/")

    async def exchange(self, told: Told) -> Outside:
        """Whom a ticket stands for."""
        ticket = await self._call(_TICKET, {"ticketId": told.code, "appId": self._appid})
        if ticket.get("success") is False:
            raise errors.CodeWrong
        token = text(_inside(ticket, "data"), "accessToken", most=1024)
        found = _inside(await self._call(_PERSON, {"token": token}), "data")
        person = _inside(found, "personInfo") if "personInfo" in found else found
        subject = text(person, "userId")
        document = _document(person.get("idNo")) if str(person.get("authLevel")) == _CHECKED else None
        if document is None:
            return Outside(subject)
        name = text(person, "userName", most=64).strip()
        return Outside(subject, contact=_phone(person.get("phone")), name=name, document=document)

    async def _call(self, path: str, body: Mapping[str, str]) -> dict[str, Any]:
        date = formatdate(usegmt=True)
        signing = f"POST\n{path}\n\n{self._access_key}\n{date}\n"
        headers = {
            "X-BG-HMAC-SIGNATURE": base64.b64encode(hmac.digest(self._secret_key, signing.encode(), "sha256")).decode(),
            "X-BG-HMAC-ALGORITHM": "hmac-sha256",
            "X-BG-HMAC-ACCESS-KEY": self._access_key,
            "X-BG-DATE-TIME": date,
        }
        status, found, _ = await ask("POST", self._url + path, json=dict(body), headers=headers)
        if status != 200:
            raise Garbled(_REFUSED.get(str(found.get("message")), f"status_{status}"))
        return found


def _inside(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    inner = found.get(name)
    if not isinstance(inner, dict):
        raise Garbled(f"no_{name}")
    return inner


def _phone(told: Any) -> Phone | None:
    try:
        return rules.normalise_phone(told) if isinstance(told, str) else None
    except rules.PhoneMalformed:
        return None


def _document(told: Any) -> Document | None:
    for kind in _KINDS if isinstance(told, str) else ():
        try:
            return rules.read_document(kind, told, today=clock.today())
        except rules.DocumentRefused:
            continue
    return None
