"""The keys of one deployment, and what is done with them.

`key_file` keeps them, `keyring` holds them in a process, `sealing` seals fields with `ciphers`, `indexes` makes them
findable. Keys are turned in the file (`shared.rotation`); a running process takes them over with `Keyring.become`.
"""

from shared.crypto.ciphers import FORMATS
from shared.crypto.indexes import blind_index
from shared.crypto.key_file import (
    KeyFile,
    KeysExposed,
    KeysMissing,
    KeysRefused,
    KeysUnreadable,
    load_or_create,
    read,
    replace,
)
from shared.crypto.keyring import Keyring, SigningKey, jwks
from shared.crypto.sealing import KeyGone, Tampered, seal, seal_json, unseal, unseal_json

__all__ = [
    "FORMATS",
    "KeyFile",
    "KeyGone",
    "Keyring",
    "KeysExposed",
    "KeysMissing",
    "KeysRefused",
    "KeysUnreadable",
    "SigningKey",
    "Tampered",
    "blind_index",
    "jwks",
    "load_or_create",
    "read",
    "replace",
    "seal",
    "seal_json",
    "unseal",
    "unseal_json",
]
