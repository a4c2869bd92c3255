"""Alipay, 浙里办 and an OpenID provider as servers of our own, in the wire formats that they document."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.identity.elsewhere import Answer, Elsewhere, Heard


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:  # noqa: ARG001 - one key a name
    return rsa.generate_private_key(65537, 2048)


def private_text(key: rsa.RSAPrivateKey) -> str:
    """PKCS #8 in base64, as the console shows it."""
    form = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return base64.b64encode(key.private_bytes(*form)).decode()


def public_text(key: rsa.RSAPrivateKey) -> str:
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(key.public_key().public_bytes(*form)).decode()


def signed(key: rsa.RSAPrivateKey, content: str) -> str:
    return base64.b64encode(key.sign(content.encode(), rsa_padding.PKCS1v15(), hashes.SHA256())).decode()


class AlipayServer(Elsewhere):
    """openapi.alipay.com: checks our signature over the sorted form, signs its own answer as it is written."""

    APPID = "2021000000000001"
    AES = base64.b64encode(b"0123456789abcdef").decode()

    def __init__(self) -> None:
        super().__init__()
        self.ours, self.theirs = rsa_key("ours"), rsa_key("alipay")
        self.codes: dict[str, str] = {}
        self.used: set[str] = set()
        self.signer = self.theirs
        self.member = "user_id"

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "alipay_appid": self.APPID,
            "alipay_key": private_text(self.ours),
            "alipay_public_key": public_text(self.theirs),
            "alipay_aes_key": self.AES,
            "alipay_url": f"{self.url}/gateway.do",
        } | more

    def code(self, user: str) -> str:
        code = secrets.token_hex(16)
        self.codes[code] = user
        return code

    def phone(self, number: str, signer: rsa.RSAPrivateKey | None = None, code: str = "10000") -> str:
        """What my.getPhoneNumber gives the app."""
        plain = json.dumps({"code": code, "msg": "Success", "mobile": number}).encode()
        pad = padding.PKCS7(128).padder()
        cipher = Cipher(algorithms.AES(base64.b64decode(self.AES)), modes.CBC(bytes(16))).encryptor()
        response = base64.b64encode(cipher.update(pad.update(plain) + pad.finalize()) + cipher.finalize()).decode()
        told = {"response": response, "sign": signed(signer or self.theirs, f'"{response}"'), "sign_type": "RSA2"}
        return json.dumps(told | {"encrypt_type": "AES", "charset": "UTF-8"})

    def well(self, heard: Heard) -> Answer:
        form = dict(heard.form)
        sign = base64.b64decode(form.pop("sign", ""))
        content = "&".join(f"{name}={form[name]}" for name in sorted(form))
        try:
            self.ours.public_key().verify(sign, content.encode(), rsa_padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return self._error("40002", "isv.invalid-signature")
        asked = (form["app_id"], form["method"], form["grant_type"], form["sign_type"])
        if asked != (self.APPID, "alipay.system.oauth.token", "authorization_code", "RSA2"):
            return self._error("40002", "isv.invalid-app-id")
        code = form["code"]
        if code in self.used or code not in self.codes:
            return self._error("40002", "isv.code-invalid")
        self.used.add(code)
        # Spaces and an escape: only what is signed as it is written verifies.
        node = (
            f'{{ "access_token":"kuaijieB", "{self.member}" : "{self.codes[code]}",'
            '"expires_in":1296000,"note":"\\u652f" }'
        )
        sign_text = signed(self.signer, node)
        return 200, f'{{"alipay_system_oauth_token_response": {node},"sign":"{sign_text}"}}'.encode()

    @staticmethod
    def _error(code: str, sub_code: str) -> Answer:
        return 200, {"error_response": {"code": code, "msg": "Invalid Arguments", "sub_code": sub_code, "sub_msg": "x"}}


class ZhelibanServer(Elsewhere):
    """The gateway of 浙里办: every call signed, no clock more than 90 seconds off, tickets good once."""

    APPID, ACCESS, SECRET = "2002000001", "BCDSGA_access", "BCDSGS_secret"
    TICKET = "/restapi/prod/IC33000020220329000007/uc/sso/access_token"
    PERSON = "/restapi/prod/IC33000020220329000008/uc/sso/getUserInfo"

    def __init__(self) -> None:
        super().__init__()
        self.tickets: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.clock_off = 0.0

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "zheliban_appid": self.APPID,
            "zheliban_access_key": self.ACCESS,
            "zheliban_secret_key": self.SECRET,
            "zheliban_url": self.url,
        } | more

    def ticket(self, user: str, number: str, name: str, level: str = "3", **more: Any) -> str:
        ticket = f"tk_{secrets.token_hex(16)}"
        self.tickets[ticket] = {
            "userId": user,
            "userName": name,
            "idNo": number,
            "idType": "1",
            "authLevel": level,
        } | more
        return ticket

    def well(self, heard: Heard) -> Answer:
        told = heard.headers
        date = told.get("x-bg-date-time", "")
        signing = f"{heard.method}\n{heard.path}\n\n{told.get('x-bg-hmac-access-key')}\n{date}\n"
        expected = base64.b64encode(hmac.digest(self.SECRET.encode(), signing.encode(), hashlib.sha256)).decode()
        if told.get("x-bg-hmac-access-key") != self.ACCESS:
            return 401, {"message": "Invalid access key"}
        if told.get("x-bg-hmac-signature") != expected or told.get("x-bg-hmac-algorithm") != "hmac-sha256":
            return 401, {"message": "Invalid signature"}
        if (
            not date.endswith(" GMT")
            or abs(parsedate_to_datetime(date).timestamp() - time.time() - self.clock_off) > 90
        ):
            return 401, {"message": "Clock skew exceeded"}
        if heard.path == self.TICKET:
            found = self.tickets.pop(heard.told["ticketId"], None)
            if found is None or heard.told["appId"] != self.APPID:
                return 200, {"success": False, "errorCode": "4101", "errorMsg": "ticket invalid", "data": None}
            token = f"at_{secrets.token_hex(16)}"
            self.tokens[token] = found
            return 200, {"success": True, "errorCode": "0", "data": {"accessToken": token, "expiresIn": 7200}}
        person = self.tokens.get(heard.told["token"])
        return 200, {"success": person is not None, "errorCode": "0", "data": {"personInfo": person}}


class OidcServer(Elsewhere):
    """An OpenID provider: discovery, codes bound to a PKCE challenge, keys, and id_tokens that may be wrong on request."""

    CLIENT, SECRET, REDIRECT = "linli", "p%ss word", "https://staff.example/back"

    def __init__(self) -> None:
        super().__init__()
        self.key = rsa_key("oidc")
        self.kid = "k1"
        self.codes: dict[str, tuple[str, str, str]] = {}
        self.header: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.token: Any = None
        self.configuration: dict[str, Any] = {}
        self.more_keys: list[Any] = []

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "oidc_issuer": self.url,
            "oidc_client_id": self.CLIENT,
            "oidc_client_secret": self.SECRET,
            "oidc_redirects": (self.REDIRECT,),
        } | more

    def code(self, subject: str, verifier: str, nonce: str) -> str:
        code = secrets.token_urlsafe(24)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        self.codes[code] = (subject, challenge, nonce)
        return code

    def id_token(self, subject: str, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": self.CLIENT, "sub": subject, "nonce": nonce, "iat": now, "exp": now + 300}
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.kid} | self.header)

    def well(self, heard: Heard) -> Answer:
        match heard.path:
            case "/.well-known/openid-configuration":
                return 200, {
                    "issuer": self.url,
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/jwks",
                } | self.configuration
            case "/jwks":
                jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
                return 200, {"keys": [*self.more_keys, jwk | {"kid": self.kid, "use": "sig", "alg": "RS256"}]}
            case "/token":
                return self._token(heard)
        return 404, {"error": "not_found"}

    def _token(self, heard: Heard) -> Answer:
        form = heard.form
        expected = base64.b64encode(b"linli:p%25ss%20word").decode()
        if heard.headers.get("authorization") != f"Basic {expected}" and form.get("client_secret") != self.SECRET:
            return 401, {"error": "invalid_client"}
        found = self.codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        if found is None or found[1] != challenge or form.get("redirect_uri") != self.REDIRECT:
            return 400, {"error": "invalid_grant", "error_description": "code is wrong"}
        token = self.token if self.token is not None else self.id_token(found[0], found[2])
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": token}


OTHER_SIGNER = Ed25519PrivateKey.generate()
