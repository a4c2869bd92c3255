"""The second factor: an authenticator app's code (TOTP, RFC 6238), and recovery codes for who has lost the app."""

from __future__ import annotations

import hmac
import secrets
from typing import Final

import pyotp

from services.identity import rules
from shared import crypto
from shared.crypto import Keyring

STEP_SECONDS: Final = 30
DRIFT: Final = 1
"""So many steps a phone's clock may be early or late."""
RECOVERY_CODES: Final = 10
_RECOVERY_BYTES: Final = 15
_ISSUER: Final = "Linli"


def secret() -> str:
    """A new secret, as an app takes it: 160 bits in base 32."""
    return pyotp.random_base32()


def uri(told: str, name: str) -> str:
    """What an app reads from the picture."""
    return pyotp.TOTP(told).provisioning_uri(name=name, issuer_name=_ISSUER)


def step_of(told: str, code: str, now: float) -> int | None:
    """The half minute that a code is of, if it is of this one or one of its neighbours."""
    totp, typed = pyotp.TOTP(told), rules.read_back(code)
    for step in range(int(now) // STEP_SECONDS - DRIFT, int(now) // STEP_SECONDS + DRIFT + 1):
        if hmac.compare_digest(totp.at(step * STEP_SECONDS).encode(), typed):
            return step
    return None


def sealed(keys: Keyring, told: str, account_no: int) -> bytes:
    """The secret, sealed for its account's row."""
    return crypto.seal(keys, told, table="second_factors", column="secret_sealed", row=str(account_no))


def opened(keys: Keyring, told: bytes, account_no: int) -> str:
    """The secret that was sealed."""
    return crypto.unseal(keys, told, table="second_factors", column="secret_sealed", row=str(account_no))


def recovery_codes() -> list[str]:
    """New codes to write down: 120 bits each, in groups that can be read out. A plain keyed hash is enough for so many."""
    return [rules.spelled(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def kept(keys: Keyring, code: str) -> bytes:
    """What is kept of a recovery code, however it was typed."""
    return crypto.blind_index(keys, rules.read_back(code).hex(), column="recovery_codes.code")
