"""Sealed fields: text that opens only in its own column of its own row.

`format (1 byte) | key version (2, big-endian) | nonce (12) | ciphertext and tag`. The associated data is
`table|column|row|key version`, so a value copied into another row or column does not open there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared import wire
from shared.crypto.ciphers import CIPHERS, SM4GCM, TAG_BYTES
from shared.crypto.keyring import Keyring

_HEAD_BYTES = 3
_NONCE_BYTES = 12


class Tampered(Exception):
    """The sealed value was changed, was moved from another row, or was not sealed with these keys."""


class KeyGone(Tampered):
    """The value is sealed with a key version that this key file does not hold."""


def seal(keyring: Keyring, plaintext: str, *, table: str, column: str, row: str) -> bytes:
    """`plaintext` encrypted for exactly this field of this row; 31 bytes longer than its UTF-8.

    Nonces are random, so a field key may seal 2**32 values (NIST SP 800-38D §8.3); rotate before that.
    """
    head, nonce = keyring.head, os.urandom(_NONCE_BYTES)
    version = int.from_bytes(head[1:])
    sealed = _cipher(keyring, head[0], version).encrypt(nonce, plaintext.encode(), _place(table, column, row, version))
    return head + nonce + sealed


def unseal(keyring: Keyring, sealed: bytes, *, table: str, column: str, row: str) -> str:
    """What `seal` was given for this field of this row. Raises Tampered, or KeyGone when its key is not here."""
    if len(sealed) < _HEAD_BYTES + _NONCE_BYTES + TAG_BYTES or sealed[0] not in CIPHERS:
        raise Tampered(Tampered.__doc__)
    version = int.from_bytes(sealed[1:_HEAD_BYTES])
    if version not in keyring.field:
        raise KeyGone(KeyGone.__doc__)
    nonce, body = sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES], sealed[_HEAD_BYTES + _NONCE_BYTES :]
    try:
        return _cipher(keyring, sealed[0], version).decrypt(nonce, body, _place(table, column, row, version)).decode()
    except (InvalidTag, UnicodeDecodeError):
        raise Tampered(Tampered.__doc__) from None


def seal_json(keyring: Keyring, value: Mapping[str, Any], *, table: str, column: str, row: str) -> bytes:
    """Several things at once, sealed as JSON."""
    return seal(keyring, wire.dumps(value).decode(), table=table, column=column, row=row)


def unseal_json(keyring: Keyring, sealed: bytes, *, table: str, column: str, row: str) -> dict[str, Any]:
    """What `seal_json` was given, in words that JSON has."""
    found: dict[str, Any] = wire.loads(unseal(keyring, sealed, table=table, column=column, row=row))
    return found


def _cipher(keyring: Keyring, kind: int, version: int) -> AESGCM | SM4GCM:
    cipher = keyring.ciphers.get((kind, version))
    if cipher is None:
        cipher = keyring.ciphers[kind, version] = CIPHERS[kind](keyring.field[version])
    return cipher


def _place(table: str, column: str, row: str, version: int) -> bytes:
    # Only `row` may hold the separator: then the text still splits in one way.
    if "|" in table or "|" in column:
        raise ValueError("a table or column name holds '|'")
    return f"{table}|{column}|{row}|{version}".encode()
