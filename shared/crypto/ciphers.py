"""What seals: AES-256-GCM or SM4-GCM. The first byte of a sealed field tells which, so that both open at any time."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TAG_BYTES = 16
_AES_256_GCM = 1
_SM4_GCM = 2
FORMATS = {"aes": _AES_256_GCM, "sm4": _SM4_GCM}


class SM4GCM:
    """SM4-GCM (GB/T 32907, RFC 8998) with the interface of `AESGCM`; its 128-bit key comes out of a field key by HKDF-SM3."""

    def __init__(self, key: bytes) -> None:
        self._key = HKDF(hashes.SM3(), 16, salt=None, info=b"linli sm4").derive(key)

    def encrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """Ciphertext and tag."""
        made = Cipher(algorithms.SM4(self._key), modes.GCM(nonce)).encryptor()
        made.authenticate_additional_data(associated)
        return made.update(data) + made.finalize() + made.tag

    def decrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """What was encrypted; raises InvalidTag."""
        opened = Cipher(algorithms.SM4(self._key), modes.GCM(nonce, data[-TAG_BYTES:])).decryptor()
        opened.authenticate_additional_data(associated)
        return opened.update(data[:-TAG_BYTES]) + opened.finalize()


CIPHERS: Mapping[int, type[AESGCM | SM4GCM]] = {_AES_256_GCM: AESGCM, _SM4_GCM: SM4GCM}
