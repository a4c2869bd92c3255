"""What identity announces."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final, Literal

from services.identity.notices import rights
from shared.notices import Data, Notice, NoticeType
from shared.texts import say


class ConsentSaid(Data):
    """For which purpose, and which version of its words."""

    purpose: str
    version: int


class SessionRevoked(Data):
    """Why a session ended without its owner saying so."""

    reason: Literal["reused"]


class WayIn(Data):
    """A login was added or removed, a password may be set anew, or a second factor."""

    what: Literal["added", "removed", "password", "second_factor"]


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

    reason: Literal["left", "grown", "revoked", "expired", "refused", "died"]


class Head(Data):
    """Where the chain of the audit ended, and the deployment's signature over it."""

    position: int
    hash: str
    signed: str


class Revealed(Data):
    """What of a person was seen: the names of fields."""

    fields: list[str]


class Counted(Data):
    """How many people."""

    people: int


_REVEAL: Final = say("the reveal", "查看记录")
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
        "identity.session.revoked",
        SessionRevoked,
        say("the session", "登录会话"),
        say(
            "A device's refresh token was used a second time: somebody may have copied it, so the login there is over.",
            "某设备的刷新令牌被重复使用，可能已泄露，该登录已终止。",
        ),
        {"reason": "reused"},
    ),
    NoticeType(
        "identity.login.changed",
        WayIn,
        say("the account", "账号"),
        say(
            "A login was added or removed, or somebody else let one set a new password or second factor; the owner is told.",
            "该账号的登录方式有增减，或他人发出了设置密码的邀请、重置了动态口令，已通知账号本人。",
        ),
        {"what": "password"},
    ),
    NoticeType(
        "identity.person.confirmed",
        Level,
        say("the confirmation", "核验记录"),
        say(
            "Staff have seen the person and their document, or an authority vouches for both.",
            "工作人员已当面核验本人及证件，或经权威机构核验。",
        ),
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
    NoticeType(
        "identity.audit.head_signed",
        Head,
        say("the signed head", "已签名的链头"),
        say(
            "The audit has grown: `hash` covers all of it up to `position`. Whoever keeps it is a witness; `signed` is a JWS "
            "that /.well-known/jwks.json verifies.",
            "审计链已增长：`hash` 覆盖至 `position` 的全部记录。保存者即为见证；`signed` 为可用 /.well-known/jwks.json 验证的 JWS。",
        ),
        {"position": 1024, "hash": "5f" * 32, "signed": "eyJhbGciOiJFZERTQSJ9.e30.c2ln"},
    ),
    NoticeType(
        "identity.person.revealed",
        Revealed,
        _REVEAL,
        say(
            "Somebody of the staff saw what is sealed of a person, who is told; by whom and why is in the person's ledger.",
            "工作人员查看了受保护的个人信息，已通知本人；查看人与事由见本人的查看记录。",
        ),
        {"fields": ["phone"]},
    ),
    NoticeType(
        "identity.reveal.asked",
        Data,
        _REVEAL,
        say("Somebody else must allow it; the managers are told.", "须由他人批准，已通知负责人。"),
        {},
    ),
    NoticeType(
        "identity.reveals.exceeded",
        Counted,
        say("the reveal that was one too many", "超限的查看记录"),
        say(
            "One member of the staff wanted to see more people in a day than is usual; from now on others must allow it.",
            "同一工作人员当日查看人数超限，此后的查看须经他人批准。",
        ),
        {"people": 21},
    ),
    NoticeType(
        "identity.person.closed",
        Data,
        say("the person", "人员"),
        say(
            "Somebody was forgotten at their own wish; whoever keeps something of them elsewhere forgets it, too.",
            "已按本人申请注销；其他系统如留存其信息应一并删除。",
        ),
        {},
    ),
    *rights.TYPES,
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


def session_revoked(session_id: uuid.UUID, community: str, holder_no: int) -> Notice:
    """Somebody's login ended because its token came twice."""
    return Notice("identity.session.revoked", community, session_id, (holder_no,), {"reason": "reused"})


def login_changed(account_id: uuid.UUID, community: str, holder_no: int, what: str) -> Notice:
    """The ways into an account are others now: an owner who did not want that knows that something is wrong."""
    return Notice("identity.login.changed", community, account_id, (holder_no,), {"what": what})


def person_confirmed(confirmation: uuid.UUID, community: str, holder_no: int, level: int) -> Notice:
    """Staff or an authority have confirmed who somebody is. Which of them did is only in the audit."""
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


def audit_head(head_id: uuid.UUID, community: str, position: int, digest: str, signed: str) -> Notice:
    """Where the audit ends, for witnesses."""
    return Notice(
        "identity.audit.head_signed",
        community,
        head_id,
        (),
        {"position": position, "hash": digest, "signed": signed},
    )


def person_revealed(reveal_id: uuid.UUID, community: str, holders: tuple[int, ...], fields: list[str]) -> Notice:
    """Somebody saw these fields of a person, who is told."""
    return Notice("identity.person.revealed", community, reveal_id, holders, {"fields": fields})


def reveal_asked(reveal_id: uuid.UUID, community: str, holders: tuple[int, ...]) -> Notice:
    """Somebody asks to see something, and these may allow it."""
    return Notice("identity.reveal.asked", community, reveal_id, holders)


def reveals_exceeded(reveal_id: uuid.UUID, community: str, holders: tuple[int, ...], people: int) -> Notice:
    """Somebody looks at too many people."""
    return Notice("identity.reveals.exceeded", community, reveal_id, holders, {"people": people})


def person_closed(person_id: uuid.UUID, community: str) -> Notice:
    """Somebody is no longer known."""
    return Notice("identity.person.closed", community, person_id, ())
