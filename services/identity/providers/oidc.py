"""OpenID Connect, for staff: any provider that publishes its configuration. Code with PKCE, and a signed id_token.

It vouches for a name of its own and for nothing else, so it never makes a resident: an account adds it first.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

import jwt
import structlog

from services.identity.providers.contract import LEAST_RSA_BITS, Garbled, Outside, Told, ask, text
from shared import errors

log = structlog.get_logger(__name__)

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures only: nothing that a shared secret could make, and never `none`."""
SKEW: Final = 120
"""Seconds by which their clock may differ from ours."""
_KEPT: Final = 3600
_AGAIN: Final = 60
"""Seconds between two looks for keys: made-up key names must not make us call."""
_OUR_FAULT: Final = {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request"}


def _how(claims: Mapping[str, Any]) -> set[str]:
    """What an id_token says of how somebody logged in: its `acr`, and the methods in its `amr`."""
    methods = claims.get("amr")
    told = [claims.get("acr"), *(methods if isinstance(methods, list) else ())]
    return {one for one in told if isinstance(one, str)}


class Oidc:
    """One client at one provider."""

    name = "oidc"

    def __init__(
        self,
        issuer: str,
        client_id: str,
        secret: str | None,
        redirects: Sequence[str],
        two_factors: Collection[str] = (),
    ) -> None:
        self.facts: Mapping[str, str] = {"client_id": client_id, "issuer": issuer}
        self._issuer = issuer
        self._client_id = client_id
        self._secret = secret
        self._redirects = redirects
        self._two_factors = frozenset(two_factors)
        self._found: tuple[float, str, str, bool] | None = None
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._keys_at = -_KEPT * 1.0

    async def exchange(self, told: Told) -> Outside:
        """Whom a code stands for."""
        if told.redirect_uri not in self._redirects:
            raise errors.Unprocessable.at("/redirect_uri", "unknown")
        token_url, keys_url, in_body = await self._configuration()
        form = {
            "grant_type": "authorization_code",
            "code": told.code,
            "redirect_uri": told.redirect_uri,
            "code_verifier": told.verifier,
            "client_id": self._client_id,
        }
        more: dict[str, Any] = {}
        if self._secret is not None and in_body:
            form["client_secret"] = self._secret
        elif self._secret is not None:
            more["auth"] = (quote(self._client_id, safe=""), quote(self._secret, safe=""))
        status, found, _ = await ask("POST", token_url, data=form, **more)
        if status != 200:
            error = found.get("error")
            if error == "invalid_grant":
                raise errors.CodeWrong
            raise Garbled(error if error in _OUR_FAULT else f"status_{status}")
        claims = await self._verified(text(found, "id_token", most=16_384), keys_url)
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), (told.nonce or "").encode()):
            raise errors.CodeWrong
        has_second = not self._two_factors.isdisjoint(_how(claims))
        return Outside(f"{self._issuer}|{text(claims, 'sub', most=255)}", has_second=has_second)

    async def _configuration(self) -> tuple[str, str, bool]:
        """Where tokens and keys are, and whether our secret goes into the body."""
        if self._found is None or self._found[0] <= time.monotonic():
            _, found, _ = await ask("GET", self._issuer.rstrip("/") + "/.well-known/openid-configuration")
            if found.get("issuer") != self._issuer:
                raise Garbled("another_issuer")
            token_url, keys_url = text(found, "token_endpoint", most=1000), text(found, "jwks_uri", most=1000)
            secure = urlsplit(self._issuer).scheme
            if any(urlsplit(one).scheme not in (secure, "https") for one in (token_url, keys_url)):
                raise Garbled("not_secure")
            ways = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
            self._found = (time.monotonic() + _KEPT, token_url, keys_url, "client_secret_basic" not in ways)
        return self._found[1:]

    async def _verified(self, token: str, keys_url: str) -> dict[str, Any]:
        """What an id_token says, if it is theirs, for us, and of now."""
        try:
            header = jwt.get_unverified_header(token)
            if str(header.get("typ", "JWT")).upper() != "JWT" or "crit" in header:
                raise jwt.InvalidTokenError("type")
            key = await self._key(header.get("kid"), keys_url)
            if key is None or header["alg"] not in ALGORITHMS or key.algorithm_name != header["alg"]:
                raise jwt.InvalidTokenError("key")
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[header["alg"]],
                audience=self._client_id,
                issuer=self._issuer,
                leeway=SKEW,
                options={"require": ["iss", "aud", "exp", "iat", "sub", "nonce"]},
            )
            audience, presenter = claims["aud"], claims.get("azp")
            if presenter != self._client_id and (presenter is not None or not isinstance(audience, str)):
                raise jwt.InvalidTokenError("azp")
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            log.warning("id_token_refused", why=type(error).__name__)
            raise errors.CodeWrong from None
        return claims

    async def _key(self, kid: str | None, url: str) -> jwt.PyJWK | None:
        """Their key of this name; looked for again when it is new or the kept ones are old, not at every call."""
        since = time.monotonic() - self._keys_at
        if since >= _KEPT or (kid not in self._keys and since >= _AGAIN):
            _, found, _ = await ask("GET", url)
            kept: dict[str | None, jwt.PyJWK] = {}
            several = found.get("keys")
            for one in several if isinstance(several, list) else ():
                try:
                    if one.get("use", "sig") == "sig" and one.get("kty") != "oct":
                        key = jwt.PyJWK(one)
                        if one["kty"] != "RSA" or key.key.key_size >= LEAST_RSA_BITS:
                            kept[one.get("kid")] = key
                except (jwt.PyJWTError, TypeError, ValueError, AttributeError, KeyError):
                    continue
            self._keys, self._keys_at = kept, time.monotonic()
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)
