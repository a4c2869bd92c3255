"""Keys at rest, sealed fields, blind indexes, the public key set."""

from __future__ import annotations

import base64
import dataclasses
import json
import multiprocessing
import os
import stat
import time
import timeit
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from shared import crypto

KEYS = crypto.Keyring.fresh()
FIELD = {"table": "persons", "column": "name", "row": "0199-7"}


def fingerprint_of(path: str) -> str:
    return crypto.load_or_create(path, may_create=True).fingerprint()


def test_keys_are_made_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys.json"
    made = crypto.load_or_create(path, may_create=True)
    again = crypto.load_or_create(path, may_create=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["keys.json"]
    assert again.fingerprint() == made.fingerprint()
    assert crypto.jwks(again) == crypto.jwks(made)
    assert crypto.unseal(again, crypto.seal(made, "张三", **FIELD), **FIELD) == "张三"


def test_processes_that_start_together_end_with_the_same_keys(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        for round_ in range(10):
            assert len(set(pool.map(fingerprint_of, [str(tmp_path / f"{round_}.json")] * 8, chunksize=1))) == 1
    assert len(list(tmp_path.iterdir())) == 10


def test_missing_keys_are_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(crypto.KeysMissing, match="restore it from your backup"):
        crypto.load_or_create(tmp_path / "keys.json", may_create=False)
    assert not list(tmp_path.iterdir())


def test_keys_that_cannot_be_made_say_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(crypto.KeysRefused, match=r"\(Not a directory\)"):
        crypto.load_or_create(tmp_path / "file" / "keys.json", may_create=True)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_keys_that_others_can_reach_are_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    crypto.load_or_create(path, may_create=True)
    path.chmod(mode)
    with pytest.raises(crypto.KeysExposed, match="chmod 600"):
        crypto.load_or_create(path, may_create=True)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"signing": []},
        {"signing": ["AAAA"]},
        {"signing": {"a": 1}},
        {"assertion": "不"},
        {"assertion": None},
        {"field": {}},
        {"field": {"0": "A" * 43}},
        {"field": {"65536": "A" * 43}},
        {"field": {"x": "A" * 43}},
        {"field": []},
        {"index": "A" * 40},
        {"deployment_id": "town"},
        {"deployment_id": 7},
    ],
)
def test_a_damaged_key_file_is_refused_and_not_quoted(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "keys.json"
    crypto.load_or_create(path, may_create=True)
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | change))
    with pytest.raises(crypto.KeysUnreadable) as refused:
        crypto.load_or_create(path, may_create=True)
    assert told["index"] not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[]", b"null", b'"x"', b"[" * 60_000, b" " * 70_000])
def test_what_is_no_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(crypto.KeysUnreadable):
        crypto.load_or_create(path, may_create=True)
    assert path.read_bytes() == content


def test_what_is_not_even_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(crypto.KeysUnreadable):
            crypto.load_or_create(path, may_create=True)


def test_no_secret_is_shown() -> None:
    shown = repr(KEYS) + str(KEYS) + f"{KEYS}" + repr(KEYS.signing)
    for secret in (KEYS.assertion, KEYS.index, KEYS.field[1], KEYS.signing[0].private.private_bytes_raw()):
        for form in (repr(secret)[2:-1], secret.hex(), base64.b64encode(secret).decode(), crypto.keyring.b64(secret)):
            assert form not in shown


def test_the_fingerprint_outlives_rotation_and_nothing_else() -> None:
    turned = dataclasses.replace(
        KEYS,
        field={**KEYS.field, 2: os.urandom(32)},
        signing=(crypto.SigningKey(Ed25519PrivateKey.generate()), *KEYS.signing),
    )
    assert turned.fingerprint() == KEYS.fingerprint()
    assert dataclasses.replace(KEYS, index=os.urandom(32)).fingerprint() != KEYS.fingerprint()
    other = dataclasses.replace(KEYS, deployment_id="00000000-0000-4000-8000-000000000000")
    assert other.fingerprint() != KEYS.fingerprint()
    assert len(KEYS.fingerprint()) == 16


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_sealed_value_opens_in_its_place(plaintext: str) -> None:
    sealed = crypto.seal(KEYS, plaintext, **FIELD)
    assert len(sealed) == len(plaintext.encode()) + 31
    assert crypto.unseal(KEYS, sealed, **FIELD) == plaintext


def test_sealing_twice_shows_no_likeness() -> None:
    assert len({crypto.seal(KEYS, "张三", **FIELD) for _ in range(100)}) == 100


@pytest.mark.parametrize("moved", [{"table": "accounts"}, {"column": "phone"}, {"row": "0199-8"}])
def test_a_value_moved_elsewhere_does_not_open(moved: dict[str, str]) -> None:
    sealed = crypto.seal(KEYS, "张三", **FIELD)
    with pytest.raises(crypto.Tampered):
        crypto.unseal(KEYS, sealed, **{**FIELD, **moved})


def test_a_separator_in_a_name_cannot_make_two_places_one() -> None:
    with pytest.raises(ValueError, match=r"holds '\|'"):
        crypto.seal(KEYS, "x", table="a|b", column="c", row="1")
    sealed = crypto.seal(KEYS, "x", table="a", column="b", row="c|1")
    assert crypto.unseal(KEYS, sealed, table="a", column="b", row="c|1") == "x"


def test_every_changed_byte_is_noticed() -> None:
    sealed = crypto.seal(KEYS, "张三", **FIELD)
    for at in range(len(sealed)):
        with pytest.raises(crypto.Tampered):
            crypto.unseal(KEYS, sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :], **FIELD)
        with pytest.raises(crypto.Tampered):
            crypto.unseal(KEYS, sealed[:at], **FIELD)


def test_the_newest_key_seals_and_the_older_still_open() -> None:
    turned = dataclasses.replace(KEYS, field={7: os.urandom(32), **KEYS.field})
    old, new = crypto.seal(KEYS, "张三", **FIELD), crypto.seal(turned, "张三", **FIELD)
    assert (old[1:3], new[1:3]) == (b"\x00\x01", b"\x00\x07")
    assert crypto.unseal(turned, old, **FIELD) == crypto.unseal(turned, new, **FIELD) == "张三"
    with pytest.raises(crypto.KeyGone):
        crypto.unseal(KEYS, new, **FIELD)


def test_equal_values_meet_in_the_blind_index_of_one_column_only() -> None:
    index = crypto.blind_index(KEYS, "8615400000001", column="persons.phone")
    assert len(index) == 16
    assert index == crypto.blind_index(dataclasses.replace(KEYS), "8615400000001", column="persons.phone")
    assert index != crypto.blind_index(KEYS, "8615400000001", column="accounts.phone")
    assert index != crypto.blind_index(KEYS, "8615400000002", column="persons.phone")
    assert index != crypto.blind_index(crypto.Keyring.fresh(), "8615400000001", column="persons.phone")


def test_a_key_is_named_by_its_thumbprint() -> None:
    # RFC 8037, appendices A.1 to A.3.
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = crypto.SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    assert key.x == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_public_key_set_verifies_what_is_signed_and_holds_nothing_private() -> None:
    published = crypto.jwks(KEYS)
    assert set(published["keys"][0]) == {"kty", "crv", "x", "kid", "use", "alg"}
    signer = KEYS.signing[0]
    token = jwt.encode({"sub": "a"}, signer.private, algorithm="EdDSA", headers={"kid": signer.kid})
    verifier = jwt.PyJWKSet.from_dict(published)[signer.kid]
    assert jwt.decode(token, verifier.key, algorithms=["EdDSA"]) == {"sub": "a"}


def test_sealing_derives_no_key_anew() -> None:
    """A town has tens of thousands of fields: a derivation for each would cost a hundred times what the cipher does."""
    cipher = AESGCM(bytes(32))

    def sealed() -> None:
        crypto.seal(KEYS, "33041119500101123X", table="persons", column="document", row="1")
        crypto.blind_index(KEYS, "33041119500101123X", column="persons.document")

    def bare() -> None:
        cipher.encrypt(os.urandom(12), b"33041119500101123X", b"row")

    costs = [min(timeit.repeat(act, timer=time.process_time, number=100, repeat=5)) for act in (sealed, bare)]
    assert costs[0] < 50 * costs[1]
