"""Alipay's mini-programs: `my.getAuthCode` gives a code for the person, `my.getPhoneNumber` their phone, encrypted for us.

What Alipay says is believed only with its signature. The encrypted phone names neither a person nor a time, so whoever
copied one could show it as theirs: each counts once here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from services.identity import rules
from services.identity.providers.contract import LEAST_RSA_BITS, Garbled, Outside, Told, ask, text
from services.identity.rules import Phone
from shared import clock, errors
from shared.crypto import KeysUnreadable

_METHOD: Final = "alipay.system.oauth.token"
_WRONG: Final = ("isv.code-", "isv.invalid-auth-code", "aop.invalid-auth-code")
"""How the words for a code that is wrong, used or too old begin."""
_GOOD: Final = "10000"


class Alipay:
    """One mini-program."""

    name = "alipay"

    def __init__(self, appid: str, key: str, public_key: str, aes_key: str | None, *, url: str) -> None:
        """`key` is ours, RSA; `public_key` is Alipay's; without `aes_key` no phones can be read."""
        self.facts: Mapping[str, str] = {"client_id": appid}
        self._appid = appid
        self._url = url
        try:
            private, public = (
                serialization.load_der_private_key(_der(key), None),
                serialization.load_der_public_key(_der(public_key)),
            )
            aes = base64.b64decode(aes_key, validate=True) if aes_key else b""
            if not isinstance(private, RSAPrivateKey) or not isinstance(public, RSAPublicKey):
                raise TypeError
            if min(private.key_size, public.key_size) < LEAST_RSA_BITS:
                raise ValueError
            self._aes = algorithms.AES(aes) if aes else None
        except (ValueError, TypeError):
            raise KeysUnreadable(
                "LINLI_ALIPAY_KEY, LINLI_ALIPAY_PUBLIC_KEY and LINLI_ALIPAY_AES_KEY must be our RSA private key, Alipay's RSA "
                f"public key (of {LEAST_RSA_BITS} bits at least) and the AES key, as Alipay's console shows them (base64) or as PEM."
            ) from None
        self._private, self._public = private, public

    async def exchange(self, told: Told) -> Outside:
        """Whom an authorisation code stands for, with their phone if it came along."""
        phone, once = self._phone(told.phone_code) if told.phone_code is not None else (None, None)
        form = {
            "app_id": self._appid,
            "method": _METHOD,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": clock.local(clock.now()).strftime("%Y-%m-%d %H:%M:%S"),
            "version": "1.0",
            "grant_type": "authorization_code",
            "code": told.code,
        }
        content = "&".join(f"{name}={form[name]}" for name in sorted(form))
        signature = self._private.sign(content.encode(), rsa_padding.PKCS1v15(), hashes.SHA256())
        form["sign"] = base64.b64encode(signature).decode()
        _, found, raw = await ask("POST", self._url, params={"charset": "utf-8"}, data=form)
        _judge(found.get("error_response"))
        name = _METHOD.replace(".", "_") + "_response"
        answer = found.get(name)
        if not isinstance(answer, dict):
            raise Garbled("no_answer")
        _judge(answer)
        if not self._is_signed(_as_written(raw.decode(errors="replace"), name), found.get("sign")):
            raise Garbled("signature")
        subject = text(answer, "user_id" if "user_id" in answer else "open_id")
        return Outside(subject, phone=phone, once=once)

    def _phone(self, told: str) -> tuple[Phone, bytes]:
        """The phone in what `my.getPhoneNumber` returned, and what tells this one from all others."""
        try:
            sealed = json.loads(told)
            response, sign = sealed["response"], sealed["sign"]
            if not isinstance(response, str) or self._aes is None or not self._is_signed(f'"{response}"', sign):
                raise errors.CodeWrong
            # Alipay's own scheme has a nonce of zeros: every phone begins with the same block.
            opened = Cipher(self._aes, modes.CBC(bytes(16))).decryptor()
            padded = opened.update(base64.b64decode(response, validate=True)) + opened.finalize()
            unpad = padding.PKCS7(128).unpadder()
            found = json.loads(unpad.update(padded) + unpad.finalize())
            if found.get("code") != _GOOD:
                raise errors.CodeWrong
            return rules.normalise_phone(found["mobile"]), hashlib.sha256(response.encode()).digest()
        except rules.PhoneMalformed as refused:
            raise errors.PhoneMalformed.at("/phone_code", refused.code) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise errors.CodeWrong from None

    def _is_signed(self, content: str, sign: Any) -> bool:
        try:
            signature = base64.b64decode(sign, validate=True)
            self._public.verify(signature, content.encode(), rsa_padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True


def _der(told: str) -> bytes:
    """A key out of PEM, or out of its bare base64."""
    return base64.b64decode("".join(one for one in told.split("\n") if "-----" not in one).replace("\r", "").strip())


def _as_written(raw: str, name: str) -> str:
    """The very characters of one member: they were signed, and another spelling of the same would not verify."""
    start = raw.find(":", raw.index(f'"{name}"')) + 1
    start += len(raw[start:]) - len(raw[start:].lstrip())
    _, end = json.JSONDecoder().raw_decode(raw, start)
    return raw[start:end]


def _judge(answer: Any) -> None:
    """Refuse what Alipay refuses: the caller's fault, or ours."""
    if not isinstance(answer, dict) or answer.get("code") in (None, _GOOD):
        return
    if str(answer.get("sub_code")).startswith(_WRONG):
        raise errors.CodeWrong
    code = str(answer.get("code"))
    raise Garbled(f"code_{code}" if code.isdigit() else "code")
