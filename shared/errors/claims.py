"""Why somebody has no place, in whatever service: 409."""

from __future__ import annotations

from shared.errors.refusal import Conflict


class InFlight(Conflict):
    """The same request is still being worked on; ask again shortly."""

    code = "in_flight"
    zh = "相同的请求正在处理，请稍后再试。"


class NotOpenYet(Conflict):
    """Booking has not opened yet."""

    code = "not_open_yet"
    zh = "尚未开放预约。"


class Closed(Conflict):
    """Booking has closed."""

    code = "closed"
    zh = "预约已截止。"


class Cancelled(Conflict):
    """This session has been cancelled."""

    code = "cancelled"
    zh = "本场次已取消。"


class Full(Conflict):
    """There is no place left."""

    code = "full"
    zh = "名额已满。"


class Held(Conflict):
    """The last places are being booked at this moment; one may come free shortly."""

    code = "held"
    zh = "最后的名额正在被预约，稍后可能释放。"


class AlreadyYours(Conflict):
    """This person already has a place here."""

    code = "already_yours"
    zh = "此人已有该场次的名额。"


class AlreadyWaiting(Conflict):
    """This person is already on the waiting list."""

    code = "already_waiting"
    zh = "此人已在候补名单中。"


class Overlaps(Conflict):
    """This person has another place at the same time."""

    code = "overlaps"
    zh = "此人在同一时间已有其他预约。"


class LimitReached(Conflict):
    """There are as many as there may be."""

    code = "limit_reached"
    zh = "已达到数量上限。"


class Suspended(Conflict):
    """Booking is paused for this person for now."""

    code = "suspended"
    zh = "此人的预约资格暂停中。"


class TooYoung(Conflict):
    """This person is too young for this session."""

    code = "too_young"
    zh = "此人未达到年龄要求。"


class TooOld(Conflict):
    """This person is too old for this session."""

    code = "too_old"
    zh = "此人超过年龄要求。"


class OutsideArea(Conflict):
    """This session is for residents of other communities."""

    code = "outside_area"
    zh = "本场次面向其他社区的居民。"


class VerificationRequired(Conflict):
    """A verified real name is required."""

    code = "verification_required"
    zh = "需要先完成实名认证。"


class GuardianRequired(Conflict):
    """A child can be booked only by a guardian."""

    code = "guardian_required"
    zh = "未成年人须由监护人预约。"


class OwnWordRequired(Conflict):
    """From the age of 14 on it takes the person's own word."""

    code = "own_word_required"
    zh = "年满 14 周岁的，须由本人作出同意。"


class CapReached(Conflict):
    """This would be more than a proxy may spend for this person in a month."""

    code = "cap_reached"
    zh = "超出受托人本月代办消费上限。"


class ConsentRequired(Conflict):
    """Consent is needed first."""

    code = "consent_required"
    zh = "需要先取得同意。"
