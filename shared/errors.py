"""Refusals: everything a caller can be told instead of what they asked for.

A refusal is a state of the world, named in English. Its docstring is the sentence an English reader sees; `zh` is the
sentence everybody else sees; `code` is what programs read. The tree says the HTTP status:

    Refusal
    ├── Unreadable          400   IdempotencyKeyMissing
    ├── NotKnown            401   TokenExpired, CodeWrong
    ├── NotAllowed          403   AssertionMissing, GrantMissing, NotYours, PassInvalid, OwnMatter
    ├── NotThere            404
    ├── MethodNotAllowed    405
    ├── Conflict            409   Full, Held, NotOpenYet, Closed, Cancelled, AlreadyYours, Overlaps, LimitReached, …
    ├── Gone                410
    ├── Changed             412   (the resource is not the one you read)
    ├── TooLarge            413
    ├── WrongMediaType      415
    ├── Unprocessable       422   KeyReused, Document…, PhoneMalformed
    ├── ConditionMissing    428
    ├── TooMany             429
    └── Unavailable         503   LineFull, Unknown, ServiceDown, ProviderDown; ServiceSlow, ProviderSlow 504

`docs/errors.md` lists every one of them, and a test compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar


class Refusal(Exception):
    """The request was refused."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "refused"
    zh: ClassVar[str] = "请求被拒绝。"

    def __init__(self, detail: str | None = None, *, retry_after: float | None = None, **extra: Any) -> None:
        """`detail` narrows the sentence; `extra` members travel in the problem document as they are."""
        super().__init__(detail or self.title("en"))
        self.detail = detail
        self.retry_after = retry_after
        self.extra: Mapping[str, Any] = extra

    @classmethod
    def title(cls, lang: str) -> str:
        """The sentence in `zh` or `en`."""
        return cls.zh if lang == "zh" else (cls.__doc__ or "").strip()


class Unreadable(Refusal):
    """The request could not be read."""

    status = 400
    code = "unreadable"
    zh = "请求无法读取。"


class IdempotencyKeyMissing(Unreadable):
    """This request needs an Idempotency-Key header of 8 to 128 characters."""

    code = "idempotency_key_missing"
    zh = "请求缺少 Idempotency-Key 头(8 至 128 个字符)。"


class NotKnown(Refusal):
    """Please log in first."""

    status = 401
    code = "not_known"
    zh = "请先登录。"


class TokenExpired(NotKnown):
    """Your login has expired; please refresh it."""

    code = "token_expired"
    zh = "登录已过期，请刷新。"


class CodeWrong(NotKnown):
    """The code is wrong or no longer valid."""

    code = "code_wrong"
    zh = "验证码错误或已失效。"


class NotAllowed(Refusal):
    """You may not do this."""

    status = 403
    code = "not_allowed"
    zh = "您没有此操作的权限。"


class AssertionMissing(NotAllowed):
    """This service answers only through the gateway."""

    code = "assertion_missing"
    zh = "此服务只能通过网关访问。"


class NotInScope(NotAllowed):
    """This key was not made for this."""

    code = "not_in_scope"
    zh = "此密钥不适用于该操作。"


class GrantMissing(NotAllowed):
    """There is no grant for exactly what was asked."""

    code = "grant_missing"
    zh = "没有与请求一致的授权。"


class NotYours(NotAllowed):
    """You may not act for this person."""

    code = "not_yours"
    zh = "您不能代此人操作。"


class NotByYourself(NotAllowed):
    """Somebody else must decide about this."""

    code = "not_by_yourself"
    zh = "须由他人审批，不能自行决定。"


class WishedOtherwise(NotAllowed):
    """This person said in life that after their death nobody, or only others, may see what is known of them."""

    code = "wished_otherwise"
    zh = "该人员生前另有安排，不同意由此人查阅其个人信息。"


class CollectorUnknown(NotAllowed):
    """This child may not go with this adult: no guardian has allowed it for now."""

    code = "collector_unknown"
    zh = "监护人未授权此人现在接走该儿童。"


class CollectorUsed(NotAllowed):
    """This one-time code has been used."""

    code = "collector_used"
    zh = "此一次性接送码已使用。"


class CollectorBarred(NotAllowed):
    """This child may never go with this adult: a guardian has forbidden it."""

    code = "collector_barred"
    zh = "监护人已禁止此人接走该儿童。"


class GuardianBarred(NotAllowed):
    """This person may not be this child's guardian; the staff know why."""

    code = "guardian_barred"
    zh = "此人不得担任该儿童的监护人，请联系工作人员。"


class DeskCodeWrong(NotAllowed):
    """This is not the code that was shown, or it is no longer valid."""

    code = "desk_code_wrong"
    zh = "确认码错误或已失效。"


class PassInvalid(NotAllowed):
    """This pass is not good here and now."""

    code = "pass_invalid"
    zh = "此通行凭证在此时此地无效。"


class OwnMatter(NotAllowed):
    """This is about oneself or one's own family; somebody else must do it."""

    code = "own_matter"
    zh = "涉及本人或家属，须由他人办理。"


class NotThere(Refusal):
    """There is nothing here that you may see."""

    status = 404
    code = "not_there"
    zh = "未找到，或您无权查看。"


class MethodNotAllowed(Refusal):
    """This cannot be done here."""

    status = 405
    code = "method_not_allowed"
    zh = "此地址不支持该操作。"


class Conflict(Refusal):
    """The present state does not allow this."""

    status = 409
    code = "conflict"
    zh = "当前状态不允许此操作。"


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
    """The limit of bookings has been reached."""

    code = "limit_reached"
    zh = "已达到预约次数上限。"


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


class GuardianStays(Conflict):
    """In this room a guardian stays with the child."""

    code = "guardian_stays"
    zh = "此儿童之家须由监护人全程陪同。"


class DropOffOnly(Conflict):
    """In this room children stay without their guardians."""

    code = "drop_off_only"
    zh = "此儿童之家不设陪同，儿童须单独在园。"


class OutsideSession(Conflict):
    """This can be done only from shortly before the session to its end."""

    code = "outside_session"
    zh = "仅可在场次开始前不久至结束前办理。"


class RoomFull(Conflict):
    """There is no room for another child at this moment."""

    code = "room_full"
    zh = "当前室内儿童已满。"


class TooFewCarers(Conflict):
    """There are too few carers in the room for another child."""

    code = "too_few_carers"
    zh = "当前照护人员不足，不能再接收儿童。"


class LastCarer(Conflict):
    """The last carer stays as long as children are inside."""

    code = "last_carer"
    zh = "室内仍有儿童，最后一名照护人员不能离开。"


class NotCarer(Conflict):
    """This person is not a carer of this room, or no longer."""

    code = "not_a_carer"
    zh = "此人不是本儿童之家的在岗照护人员。"


class AlreadyInside(Conflict):
    """This person is inside already."""

    code = "already_inside"
    zh = "此人已在室内。"


class NotInside(Conflict):
    """This person is not inside."""

    code = "not_inside"
    zh = "此人不在室内。"


class SignedIn(Conflict):
    """This person has been signed in; it can no longer be cancelled."""

    code = "signed_in"
    zh = "此人已签到，不能再取消。"


class NotOffered(Conflict):
    """This is not offered then."""

    code = "not_offered"
    zh = "当日不提供此项。"


class DietConflict(Conflict):
    """A dish does not suit this person."""

    code = "diet_conflict"
    zh = "有菜品与此人的饮食要求或过敏情况不符。"


class OutsideDeliveryArea(Conflict):
    """The kitchen does not deliver there."""

    code = "outside_delivery_area"
    zh = "超出厨房的配送范围。"


class TooEarly(Conflict):
    """It is too early for this."""

    code = "too_early"
    zh = "尚未到时间。"


class TooLate(Conflict):
    """It is too late for this; please ask the staff."""

    code = "too_late"
    zh = "已过办理时限，请联系工作人员。"


class AlreadyRecorded(Conflict):
    """What happened here was recorded already."""

    code = "already_recorded"
    zh = "结果已记录。"


class NeighbourNotAgreed(Conflict):
    """The elder has not agreed that a neighbour takes the meal."""

    code = "neighbour_not_agreed"
    zh = "长者未同意由邻居代收。"


class HoldLapsed(Conflict):
    """The place was kept for thirty seconds and has been given back; please ask again."""

    code = "hold_lapsed"
    zh = "名额保留已超时，请重新预约。"


class NotWaitable(Conflict):
    """There is no waiting list for this."""

    code = "not_waitable"
    zh = "此项没有候补名单。"


class VenueMissing(Conflict):
    """The event has no confirmed venue for all its sessions."""

    code = "venue_missing"
    zh = "活动没有覆盖全部场次的已确认场地。"


class VenueTaken(Conflict):
    """This venue booking already serves another event."""

    code = "venue_taken"
    zh = "该场地预约已用于另一个活动。"


class NotAttended(Conflict):
    """Only those who came can say how it was."""

    code = "not_attended"
    zh = "参加过活动的人才能评价。"


class SlotsOverlap(Conflict):
    """Another session already uses this resource at that time."""

    code = "slots_overlap"
    zh = "该场地在此时间已有其他场次。"


class CapacityTaken(Conflict):
    """More places are taken than the new capacity has."""

    code = "capacity_taken"
    zh = "已占用的名额多于新的容量。"


class Leased(Conflict):
    """Somebody else is reading under this name at the moment."""

    code = "leased"
    zh = "此名称正由他人读取。"


class LeaseLost(Conflict):
    """This lease is over; what was not committed is lent again."""

    code = "lease_lost"
    zh = "租约已失效，未提交的内容将重新发放。"


class LastGuardian(Conflict):
    """A child has no other guardian; close the child's record first, or ask the staff."""

    code = "last_guardian"
    zh = "有未成年人仅由您监护，请先办理其注销或联系工作人员。"


class Exists(Conflict):
    """It exists already."""

    code = "exists"
    zh = "已经存在。"


class ProviderOff(Conflict):
    """This way to log in is not set up here; use another."""

    code = "provider_off"
    zh = "此登录方式未开通，请使用其他方式。"


class LoginUnknown(Conflict):
    """Nobody here has this login yet: send your phone with it, or log in another way and add it."""

    code = "login_unknown"
    zh = "此登录方式尚未绑定：请同时提供手机号，或以其他方式登录后添加。"


class LoginTaken(Conflict):
    """This login belongs to another account."""

    code = "login_taken"
    zh = "此登录方式已绑定其他账号。"


class LoginLast(Conflict):
    """This is the only way into the account; add another one first."""

    code = "login_last"
    zh = "这是该账号唯一的登录方式，请先添加其他方式。"


class Gone(Refusal):
    """This is no longer kept."""

    status = 410
    code = "gone"
    zh = "内容已不再保留。"


class Changed(Refusal):
    """Somebody changed this after you read it; read it again."""

    status = 412
    code = "changed"
    zh = "内容已被他人修改，请重新读取。"


class TooLarge(Refusal):
    """The request is too large."""

    status = 413
    code = "too_large"
    zh = "请求内容过大。"


class WrongMediaType(Refusal):
    """The content type must be application/json."""

    status = 415
    code = "wrong_media_type"
    zh = "内容类型须为 application/json。"


class Unprocessable(Refusal):
    """The request was read, but something in it is wrong."""

    status = 422
    code = "unprocessable"
    zh = "请求内容有误。"


class KeyReused(Unprocessable):
    """This Idempotency-Key was used for another request."""

    code = "key_reused"
    zh = "此 Idempotency-Key 已用于另一个请求。"


class PhoneMalformed(Unprocessable):
    """The phone number is not a valid one."""

    code = "phone_malformed"
    zh = "电话号码格式不正确。"


class DocumentMalformed(Unprocessable):
    """The document number does not have the form of its kind."""

    code = "document_malformed"
    zh = "证件号码格式不正确。"


class DocumentOldFormat(Unprocessable):
    """Fifteen-digit numbers are no longer valid; use the eighteen-digit number."""

    code = "document_old_format"
    zh = "15 位证件号码已失效，请使用 18 位号码。"


class DocumentDate(Unprocessable):
    """The date of birth in the document number is not a possible one."""

    code = "document_date"
    zh = "证件号码中的出生日期无效。"


class DocumentCheckDigit(Unprocessable):
    """The document number has a mistyped digit."""

    code = "document_check_digit"
    zh = "证件号码校验位不正确，请核对。"


class DocumentTaken(Conflict):
    """This document number belongs to another person; please ask the staff."""

    code = "document_taken"
    zh = "此证件号码已登记在他人名下，请联系工作人员。"


class Confirmed(Conflict):
    """This was confirmed in person; say why it is changed."""

    code = "confirmed"
    zh = "该信息已经当面核验，修改须说明原因。"


class PowersApart(Conflict):
    """Administrator, security and audit are three different people."""

    code = "powers_apart"
    zh = "系统管理、安全管理与审计须由三人分别担任。"


class RegionEnded(Conflict):
    """This region has been merged or split; name the one that followed it."""

    code = "region_ended"
    zh = "该区划已撤并，请使用新的区划代码。"


class ConditionMissing(Refusal):
    """This edit needs an If-Match header with the ETag you read."""

    status = 428
    code = "condition_missing"
    zh = "修改须带 If-Match 头。"


class TooMany(Refusal):
    """Too many requests; please slow down."""

    status = 429
    code = "too_many"
    zh = "请求过于频繁，请稍后再试。"


class Unavailable(Refusal):
    """This does not work at the moment; please try again."""

    status = 503
    code = "unavailable"
    zh = "暂时无法服务，请稍后再试。"


class LineFull(Unavailable):
    """Too many people are asking at this moment; nothing was booked, please try again."""

    code = "line_full"
    zh = "当前请求人数过多，未作预约，请重试。"


class Unknown(Unavailable):
    """It is not yet known whether this was done; ask again with the same Idempotency-Key."""

    code = "unknown"
    zh = "尚不确定是否成功，请用相同的 Idempotency-Key 重试。"


class ServiceDown(Unavailable):
    """This service does not answer at the moment."""

    code = "service_down"
    zh = "该服务暂时无法响应。"


class ServiceSlow(Unavailable):
    """This service took too long to answer."""

    status = 504
    code = "service_slow"
    zh = "该服务响应超时。"


class ProviderDown(Unavailable):
    """Whoever vouches for this login does not answer; log in another way."""

    code = "provider_down"
    zh = "该登录服务暂时无法响应，请改用其他方式登录。"


class ProviderSlow(Unavailable):
    """Whoever vouches for this login takes too long to answer; log in another way."""

    status = 504
    code = "provider_slow"
    zh = "该登录服务响应超时，请改用其他方式登录。"


class Broken(Refusal):
    """Something went wrong on our side; it has been written down."""

    status = 500
    code = "broken"
    zh = "系统出错，已记录。"


def every() -> Iterator[type[Refusal]]:
    """All refusals, depth first, the roots of each status before their kinds."""

    def below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    yield from below(Refusal)


@cache
def by_code(code: str) -> type[Refusal]:
    """The refusal with this code."""
    for kind in every():
        if kind.code == code:
            return kind
    raise LookupError(code)
