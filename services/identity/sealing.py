"""How identity keeps what must not be read: sealed for its owner's row, and indexed blindly to be found again."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from services.identity.rules import Document, DocumentKind, Phone
from shared import crypto
from shared.crypto import Keyring


def phone(keys: Keyring, told: Phone, person_id: uuid.UUID) -> bytes:
    """A person's telephone, sealed."""
    return crypto.seal(keys, told.digits, table="persons", column="phone_sealed", row=str(person_id))


def open_phone(keys: Keyring, sealed: bytes, person_id: uuid.UUID) -> str:
    """The digits of a person's telephone."""
    return crypto.unseal(keys, sealed, table="persons", column="phone_sealed", row=str(person_id))


def login_index(keys: Keyring, provider: str, subject: str) -> bytes:
    """What a login is found by: what its provider calls the account."""
    return crypto.blind_index(keys, subject, column=f"logins.{provider}")


def phone_index(keys: Keyring, told: Phone) -> bytes:
    """What the login by this phone is found by."""
    return login_index(keys, "phone", told.digits)


def contact_index(keys: Keyring, told: Phone) -> bytes:
    """What those who can be reached by this phone are found by; several people may share one."""
    return crypto.blind_index(keys, told.digits, column="persons.phone")


def document(keys: Keyring, told: Document, person_id: uuid.UUID) -> bytes:
    """A person's document number, sealed."""
    return crypto.seal(keys, told.number, table="persons", column="document_sealed", row=str(person_id))


class KeptDocument(NamedTuple):
    """A document as its row holds it: its kind, the number sealed and indexed, and the end that its owner sees."""

    kind: str | None = None
    sealed: bytes | None = None
    found_by: bytes | None = None
    last4: str | None = None


def kept(keys: Keyring, told: Document | None, person_id: uuid.UUID) -> KeptDocument:
    """How a document is kept; who has none has no number either."""
    if told is None:
        return KeptDocument()
    if told.kind is DocumentKind.NONE:
        return KeptDocument(told.kind)
    return KeptDocument(told.kind, document(keys, told, person_id), document_index(keys, told), told.last4)


def open_document(keys: Keyring, sealed: bytes, person_id: uuid.UUID) -> str:
    """The number of a person's document."""
    return crypto.unseal(keys, sealed, table="persons", column="document_sealed", row=str(person_id))


def document_index(keys: Keyring, told: Document) -> bytes:
    """What the person with this document is found by.

    The kind is left out on purpose: a number shown once as a resident's and once as a passport's is one person's.
    """
    return number_index(keys, told.number)


def number_index(keys: Keyring, number: str) -> bytes:
    """The same for a number of which nobody has said what document it is on."""
    return crypto.blind_index(keys, number, column="persons.document")


def successor(keys: Keyring, token: str, session_id: uuid.UUID) -> bytes:
    """A session's newest refresh token, sealed for whoever lost it on the way."""
    return crypto.seal(keys, token, table="sessions", column="successor_sealed", row=str(session_id))


def open_successor(keys: Keyring, sealed: bytes, session_id: uuid.UUID) -> str:
    """The refresh token that was sealed."""
    return crypto.unseal(keys, sealed, table="sessions", column="successor_sealed", row=str(session_id))
