"""Who asks, and what they may do: 401 and 403."""

from __future__ import annotations

from shared.errors.refusal import NotAllowed, NotKnown


class TokenExpired(NotKnown):
    """Your login has expired; please refresh it."""

    code = "token_expired"
    zh = "登录已过期，请刷新。"


class CodeWrong(NotKnown):
    """The code is wrong or no longer valid."""

    code = "code_wrong"
    zh = "验证码错误或已失效。"


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
