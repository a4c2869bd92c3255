"""What identity announces."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final, Literal

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


class Plain(Data):
    """All there is to say is in the subject and the kind."""


class AskedAgain(Data):
    """For which purpose, which version of its words, and how long the guardian's word still counts."""

    purpose: str
    version: int
    until: datetime


class Ended(Data):
    """Why it ended."""

    reason: Literal["left", "grown", "revoked", "expired", "refused"]


_SUBJECT: Final = say("the word in the ledger of consents", "授权记录")
_RELATION: Final = say("the guardianship", "监护关系")
_PROXY: Final = say("the proxy", "代办关系")
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
        Plain,
        say("where the person lives now", "新的常住地登记"),
        say(
            "A person lives elsewhere now; the region of the notice is the new one.",
            "常住地已变更；通知所属区划为新的常住地。",
        ),
        {},
    ),
    NoticeType(
        "identity.conflict.opened",
        Plain,
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
    NoticeType(
        "identity.consent.asked_again",
        AskedAgain,
        _SUBJECT,
        say(
            "A child turned fourteen: what a guardian consented to takes the child's own word from now on, or lapses.",
            "未成年人年满十四周岁：监护人此前的同意须由本人确认，逾期失效。",
        ),
        _EXAMPLE | {"until": "2026-12-22T00:00:00+08:00"},
    ),
    NoticeType(
        "identity.guardian.added",
        Plain,
        _RELATION,
        say("A child has a guardian more.", "新增监护人。"),
        {},
    ),
    NoticeType(
        "identity.guardian.ended",
        Ended,
        _RELATION,
        say("A guardianship ended: given up, or the child is grown up.", "监护关系结束：主动解除，或被监护人已成年。"),
        {"reason": "grown"},
    ),
    NoticeType(
        "identity.guardian.barred",
        Plain,
        _RELATION,
        say("Somebody may not act for a child any more.", "某人不得再代该儿童办理事项。"),
        {},
    ),
    NoticeType(
        "identity.proxy.asked",
        Plain,
        _PROXY,
        say("Somebody asks to act for another, who is to agree.", "有人申请代办，等待本人同意。"),
        {},
    ),
    NoticeType(
        "identity.proxy.granted",
        Plain,
        _PROXY,
        say("Somebody may act for another from now on.", "代办关系生效。"),
        {},
    ),
    NoticeType(
        "identity.proxy.revoked",
        Ended,
        _PROXY,
        say("Somebody may not act for another any more, or was refused.", "代办关系结束或申请被拒绝。"),
        {"reason": "revoked"},
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


def consent_asked_again(
    consent_id: uuid.UUID, community: str, holder_no: int, purpose: str, version: int, until: datetime
) -> Notice:
    """What a guardian consented to takes the child's own word from now on."""
    data = {"purpose": purpose, "version": version, "until": until}
    return Notice("identity.consent.asked_again", community, consent_id, (holder_no,), data)


def guardian_added(relation_id: uuid.UUID, community: str, holders: tuple[int, ...]) -> Notice:
    """A child has a guardian more; told to the child, which reaches the other guardians, and to the new one."""
    return Notice("identity.guardian.added", community, relation_id, holders)


def guardian_ended(relation_id: uuid.UUID, community: str, holders: tuple[int, ...], reason: str) -> Notice:
    """A guardianship ended."""
    return Notice("identity.guardian.ended", community, relation_id, holders, {"reason": reason})


def guardian_barred(relation_id: uuid.UUID, community: str, holders: tuple[int, ...]) -> Notice:
    """Somebody may not act for a child any more. Why stays with the staff."""
    return Notice("identity.guardian.barred", community, relation_id, holders)


def proxy_asked(proxy_id: uuid.UUID, community: str, holders: tuple[int, ...]) -> Notice:
    """Somebody asks to act for another."""
    return Notice("identity.proxy.asked", community, proxy_id, holders)


def proxy_granted(proxy_id: uuid.UUID, community: str, holders: tuple[int, ...]) -> Notice:
    """Somebody may act for another from now on."""
    return Notice("identity.proxy.granted", community, proxy_id, holders)


def proxy_revoked(proxy_id: uuid.UUID, community: str, holders: tuple[int, ...], reason: str) -> Notice:
    """Somebody may not act for another any more, or never will."""
    return Notice("identity.proxy.revoked", community, proxy_id, holders, {"reason": reason})
