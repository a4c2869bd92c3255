"""Blind indexes: sealed columns are searched for an equal value without being opened.

HMAC-SHA256 or HMAC-SM3, as the deployment was made: stored ones are found by nothing else, so that never changes.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hmac as generic_hmac
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.crypto.keyring import KEY_BYTES, Keyring

_INDEX_BYTES = 16


def blind_index(keyring: Keyring, value: str, *, column: str) -> bytes:
    """16 bytes by which an encrypted `column` can be searched for an equal value (HMAC, a key per column).

    Give it the normalised value. Name the column with its table, e.g. `persons.phone`, unless two are meant to be
    joined.
    """
    key = keyring.index_keys.get(column)
    if key is None:
        algorithm = hashes.SM3() if keyring.index_hash == "sm3" else hashes.SHA256()
        derive = HKDF(algorithm, KEY_BYTES, salt=None, info=f"linli blind index|{column}".encode())
        key = keyring.index_keys[column] = derive.derive(keyring.index)
    if keyring.index_hash == "sm3":
        made = generic_hmac.HMAC(key, hashes.SM3())
        made.update(value.encode())
        return made.finalize()[:_INDEX_BYTES]
    return hmac.digest(key, value.encode(), "sha256")[:_INDEX_BYTES]
