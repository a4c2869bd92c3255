"""What the present state does not allow, apart from claims: 409."""

from __future__ import annotations

from shared.errors.refusal import Conflict


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
