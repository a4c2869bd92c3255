"""What identity announces."""

from __future__ import annotations

import uuid
from typing import Final

from shared.notices import Data, Notice, NoticeType
from shared.texts import say


class ConsentSaid(Data):
    """For which purpose, and which version of its words."""

    purpose: str
    version: int


class Level(Data):
    """How well somebody is known now."""

    level: int


class RoleSaid(Data):
    """Which role; its region is that of the notice."""

    role: str


class Nothing(Data):
    """All there is to say is in the subject and the kind."""


_SUBJECT: Final = say("the word in the ledger of consents", "授权记录")
_EXAMPLE: Final = {"purpose": "health", "version": 1}

TYPES: Final = (
    NoticeType(
        "identity.consent.given",
        ConsentSaid,
        _SUBJECT,
        say(
            "Somebody consented to a purpose, or a guardian or proxy did for them.",
            "本人、监护人或代办人同意了某项用途。",
        ),
        _EXAMPLE,
    ),
    NoticeType(
        "identity.consent.withdrawn",
        ConsentSaid,
        _SUBJECT,
        say("A consent was taken back; it counts from this moment.", "同意已撤回，即时生效。"),
        _EXAMPLE,
    ),
    NoticeType(
        "identity.person.confirmed",
        Level,
        say("the confirmation", "核验记录"),
        say("Staff have seen the person and their document.", "工作人员已当面核验本人及证件。"),
        {"level": 3},
    ),
    NoticeType(
        "identity.home.moved",
        Nothing,
        say("where the person lives now", "新的常住地登记"),
        say(
            "A person lives elsewhere now; the region of the notice is the new one.",
            "常住地已变更；通知所属区划为新的常住地。",
        ),
        {},
    ),
    NoticeType(
        "identity.conflict.opened",
        Nothing,
        say("the case", "证件冲突记录"),
        say(
            "Somebody said a document number that is registered for another person; the staff look at it.",
            "有人提交了已登记在他人名下的证件号码，待工作人员核实。",
        ),
        {},
    ),
    NoticeType(
        "identity.role.granted",
        RoleSaid,
        say("the role", "岗位授权"),
        say("Somebody was given a role in the region of the notice.", "在通知所属区划被授予岗位权限。"),
        {"role": "staff"},
    ),
    NoticeType(
        "identity.role.withdrawn",
        RoleSaid,
        say("the role", "岗位授权"),
        say("A role was taken back.", "岗位权限已被收回。"),
        {"role": "staff"},
    ),
)


def consent_given(consent_id: uuid.UUID, community: str, holder_no: int, purpose: str, version: int) -> Notice:
    """Somebody consented to a purpose. Who they are, and who said it for them, stays in the ledger of consents."""
    return Notice(
        "identity.consent.given", community, consent_id, (holder_no,), {"purpose": purpose, "version": version}
    )


def consent_withdrawn(consent_id: uuid.UUID, community: str, holder_no: int, purpose: str, version: int) -> Notice:
    """Somebody took a consent back."""
    return Notice(
        "identity.consent.withdrawn", community, consent_id, (holder_no,), {"purpose": purpose, "version": version}
    )


def person_confirmed(confirmation: uuid.UUID, community: str, holder_no: int, level: int) -> Notice:
    """Staff have confirmed who somebody is. Whom they saw is only in the audit."""
    return Notice("identity.person.confirmed", community, confirmation, (holder_no,), {"level": level})


def home_moved(tie_id: uuid.UUID, community: str, holder_no: int) -> Notice:
    """Somebody lives elsewhere now. Where they lived before is not told."""
    return Notice("identity.home.moved", community, tie_id, (holder_no,))


def conflict_opened(case_id: uuid.UUID, community: str, holder_no: int) -> Notice:
    """Somebody said another's number. Told to who said it; the other one is not named to anybody by it."""
    return Notice("identity.conflict.opened", community, case_id, (holder_no,))


def role_granted(role_id: uuid.UUID, region: str, holders: tuple[int, ...], role: str) -> Notice:
    """Somebody was given a role."""
    return Notice("identity.role.granted", region, role_id, holders, {"role": role})


def role_withdrawn(role_id: uuid.UUID, region: str, holders: tuple[int, ...], role: str) -> Notice:
    """A role was taken back."""
    return Notice("identity.role.withdrawn", region, role_id, holders, {"role": role})
