"""Keys are turned while everybody goes on: what was signed and sealed stays good until it is let go."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import threading
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import assertion, crypto, errors, rotation, tokens
from shared.assertion import Caller
from shared.crypto import Keyring

FIELD = {"table": "persons", "column": "name", "row": "0199-7"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    crypto.load_or_create(path, may_create=True)
    return path


def now(path: Path) -> Keyring:
    return crypto.load_or_create(path, may_create=False)


def later(path: Path, seconds: float = 60) -> Keyring:
    found = crypto.read(path)
    assert found is not None
    return found.at(time.time() + seconds)


def token(ring: Keyring) -> str:
    return tokens.issue(
        ring,
        account_id=uuid.uuid4(),
        account_no=1,
        person_id=None,
        holder_no=None,
        name="",
        session_id=None,
        seconds=60,
    )


def vouched(ring: Keyring) -> str:
    return assertion.sign(Caller(account_no=1), audience="booking", key=ring.assertion)


def believed(ring: Keyring, told: str) -> Caller:
    return assertion.verify(told, audience="booking", key=ring.assertions[0], more=ring.assertions[1:])


def test_a_new_key_is_known_before_it_is_used_and_the_old_one_stays_good(path: Path) -> None:
    before = now(path)
    for kind in rotation.KINDS:
        rotation.rotate(path, kind)
    known, used = now(path), later(path)
    assert {one.kid for one in known.signing} == {one.kid for one in used.signing}
    assert known.signing[0].kid == before.signing[0].kid != used.signing[0].kid
    assert (before.newest, known.newest, used.newest) == (1, 1, 2)
    assert known.assertion == before.assertion != used.assertion
    assert len(crypto.jwks(known)["keys"]) == 2
    # Processes that have looked at different moments understand each other.
    for one in (known, used):
        for other in (known, used):
            assert tokens.verify(one, token(other)).account_no == 1
            assert believed(one, vouched(other)).account_no == 1
            assert crypto.unseal(one, crypto.seal(other, "张三", **FIELD), **FIELD) == "张三"
    assert tokens.verify(used, token(before)).account_no == 1
    assert used.fingerprint() == before.fingerprint()
    assert crypto.blind_index(used, "x", column="a.b") == crypto.blind_index(before, "x", column="a.b")


def test_a_key_that_is_not_used_yet_is_neither_turned_nor_retired(path: Path) -> None:
    for kind in rotation.KINDS:
        assert rotation.retire(path, kind) == 0
        rotation.rotate(path, kind)
        for act in (rotation.rotate, rotation.retire):
            with pytest.raises(rotation.NotYet, match="not used yet"):
                act(path, kind)


def test_an_old_key_goes_when_nothing_needs_it(path: Path) -> None:
    old = now(path)
    for kind in rotation.KINDS:
        rotation.rotate(path, kind, ahead=-100)
    with pytest.raises(rotation.NotYet, match="still good"):
        rotation.retire(path, "signing", signed_until=time.time() + 60)
    with pytest.raises(rotation.NotYet, match="linli keys reseal"):
        rotation.retire(path, "field", needed={1, 2})
    assert [rotation.retire(path, kind) for kind in rotation.KINDS] == [1, 1, 1]
    left = now(path)
    with pytest.raises(errors.NotKnown):
        tokens.verify(left, token(old))
    with pytest.raises(errors.AssertionMissing):
        believed(left, vouched(old))
    with pytest.raises(crypto.KeyGone):
        crypto.unseal(left, crypto.seal(old, "张三", **FIELD), **FIELD)
    assert tokens.verify(left, token(left)).account_no == 1
    assert json.loads(path.read_text()).get("since") is None
    rotation.rotate(path, "field", ahead=-1)
    assert sorted(now(path).field) == [2, 3]


@pytest.mark.parametrize("kind", ["assertion", "field"])
def test_an_old_key_is_kept_for_what_is_still_on_its_way(path: Path, kind: str) -> None:
    rotation.rotate(path, kind, ahead=-30)
    with pytest.raises(rotation.NotYet, match="a moment ago"):
        rotation.retire(path, kind)


def test_a_running_process_takes_turned_keys_over_in_place(path: Path) -> None:
    ring = now(path)
    gone = token(ring)
    assert not rotation.look(path, ring)
    for kind in rotation.KINDS:
        rotation.rotate(path, kind, ahead=-100)
    assert rotation.look(path, ring)
    assert not rotation.look(path, ring)
    fresh = now(path)
    assert (ring.newest, ring.assertion, ring.signing[0].kid) == (2, fresh.assertion, fresh.signing[0].kid)
    assert tokens.verify(ring, gone).account_no == 1
    for kind in rotation.KINDS:
        rotation.retire(path, kind)
    assert rotation.look(path, ring)
    assert (len(ring.signing), len(ring.assertions), list(ring.field)) == (1, 1, [2])
    with pytest.raises(errors.NotKnown):
        tokens.verify(ring, gone)


def test_a_process_follows_its_key_file_until_a_coming_key_is_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "LOOK_SECONDS", 0.05)
    ring = now(path)
    with rotation.followed(path, ring):
        rotation.rotate(path, "field", ahead=1)
        for wanted in (lambda: 2 in ring.field, lambda: ring.newest == 2):
            until = time.monotonic() + 20
            while not wanted():
                assert time.monotonic() < until
                time.sleep(0.02)
    assert "keys" not in {one.name for one in threading.enumerate()}


@pytest.mark.parametrize("spoiled", ["gone", "damaged", "open to all", "another deployment's"])
def test_a_file_that_cannot_be_used_changes_nothing_for_who_is_running(path: Path, spoiled: str) -> None:
    ring = now(path)
    before = (ring.signing, ring.assertions, dict(ring.field), ring.newest)
    match spoiled:
        case "gone":
            path.unlink()
        case "damaged":
            path.write_text("{")
        case "open to all":
            path.chmod(0o644)
        case _:
            path.unlink()
            crypto.load_or_create(path, may_create=True)
    assert not rotation.look(path, ring)
    assert (ring.signing, ring.assertions, dict(ring.field), ring.newest) == before


def test_those_who_turn_at_once_do_not_undo_each_other(path: Path) -> None:
    refused = []

    def turn() -> None:
        try:
            rotation.rotate(path, "field", ahead=-1)
        except rotation.NotYet as error:
            refused.append(error)

    threads = [threading.Thread(target=turn) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert refused == []
    assert sorted(now(path).field) == list(range(1, 14))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


def test_a_folder_that_cannot_be_written_leaves_the_old_keys(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(crypto.KeysUnreadable, match="No space left"):
        rotation.rotate(path, "signing")
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"since": {"field": 1.0}},
        {"since": {"nothing": 1.0}},
        {"since": 7},
        {"since": {"signing": "soon"}},
        {"assertion": []},
        {"assertion": ["AAAA"]},
        {"index_hash": "md5"},
    ],
)
def test_a_turned_file_that_is_damaged_is_refused(path: Path, change: dict[str, object]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(crypto.KeysUnreadable):
        now(path)


SM4 = Keyring.fresh("sm4")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_both_ciphers_open_whatever_seals_now(plaintext: str) -> None:
    aes = dataclasses.replace(SM4, cipher="aes")
    by_sm4, by_aes = crypto.seal(SM4, plaintext, **FIELD), crypto.seal(aes, plaintext, **FIELD)
    assert (by_sm4[0], by_aes[0]) == (2, 1)
    for ring in (SM4, aes):
        for sealed in (by_sm4, by_aes):
            assert crypto.unseal(ring, sealed, **FIELD) == plaintext


def test_every_changed_byte_is_noticed_by_sm4_too() -> None:
    sealed = crypto.seal(SM4, "张三", **FIELD)
    for at in range(len(sealed)):
        with pytest.raises(crypto.Tampered):
            crypto.unseal(SM4, sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :], **FIELD)
    for moved in ({"table": "accounts"}, {"column": "phone"}, {"row": "0199-8"}):
        with pytest.raises(crypto.Tampered):
            crypto.unseal(SM4, sealed, **{**FIELD, **moved})


def test_blind_indexes_stay_what_the_deployment_was_made_with(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = crypto.load_or_create(path, may_create=True, cipher="sm4")
    changed = crypto.load_or_create(path, may_create=False, cipher="aes")
    assert made.index_hash == changed.index_hash == "sm3"
    assert crypto.blind_index(made, "x", column="a.b") == crypto.blind_index(changed, "x", column="a.b")
    other = dataclasses.replace(made, index_hash="sha256")
    assert crypto.blind_index(made, "x", column="a.b") != crypto.blind_index(other, "x", column="a.b")
    assert made.fingerprint() == changed.fingerprint() != other.fingerprint()
    rotation.rotate(path, "field", ahead=-1)
    assert now(path).index_hash == "sm3"


def test_sm4_and_sm3_are_those_of_the_standards() -> None:
    # RFC 8998, appendix A.1 (SM4-GCM); GB/T 32905-2016, appendix A.1 (SM3 of "abc").
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    made = crypto.ciphers.SM4GCM(bytes(32))
    made._key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    plain = bytes.fromhex("AA" * 8 + "BB" * 8 + "CC" * 8 + "DD" * 8 + "EE" * 8 + "FF" * 8 + "EE" * 8 + "AA" * 8)
    associated = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    sealed = made.encrypt(bytes.fromhex("00001234567800000000ABCD"), plain, associated)
    assert sealed.hex().upper().startswith("17F399F08C67D5EE19D0DC9969C4BB7D")
    assert sealed[-16:].hex().upper() == "83DE3541E4C2B58177E065A9BF7B62EC"
    digest = hashes.Hash(hashes.SM3())
    digest.update(b"abc")
    assert digest.finalize().hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
