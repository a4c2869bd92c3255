"""What callers of identity say and hear. A document number goes in and never comes out."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from services.identity.rules import DocumentKind
from shared.claiming import Moment, NamedOut, Short
from shared.texts import say
from shared.web import In, Out


def _is_shown(kind: DocumentKind) -> DocumentKind:
    if kind is DocumentKind.NONE:
        raise ValueError("only staff can vouch for a person")
    return kind


Name = Annotated[
    Short,
    StringConstraints(pattern=r"^[^\n\t]*$"),
    Field(description=say("The name as the document has it.", "证件上的姓名。")),
]
Phone = Annotated[
    Short, Field(description=say("A mainland mobile or landline number.", "大陆手机号或固定电话（含区号）。"))
]


class CodeIn(In):
    """Whose phone a login code is to be sent to."""

    phone: Phone


class CodeOut(Out):
    """A code is on its way; the same answer for every phone."""

    expires_in: int = Field(description=say("Seconds for which the code is valid.", "验证码有效秒数。"))
    resend_in: int = Field(description=say("Seconds until another may be asked for.", "可再次发送的等待秒数。"))
    demo_code: str | None = Field(
        default=None, description=say("The code itself; in a demo only.", "验证码本身，仅演示环境返回。")
    )


class LoginIn(In):
    """What a way to log in gave the caller; each provider needs its own part of it."""

    provider: Literal["phone", "wechat", "alipay", "zheliban", "oidc"]
    code: Annotated[
        str,
        StringConstraints(min_length=1, max_length=2000),
        Field(description=say("The code; of Zheliban the ticket.", "验证码或授权码；浙里办为票据。")),
    ]
    phone: Phone | None = Field(default=None, description=say("With `phone`: whose code it is.", "手机号登录时必填。"))
    phone_code: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        default=None,
        description=say(
            "With `wechat`: the phone button's code; with `alipay`: what `my.getPhoneNumber` returned.",
            "微信：获取手机号按钮返回的 code；支付宝：my.getPhoneNumber 返回的密文。",
        ),
    )
    verifier: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{43,128}$")] | None = Field(
        default=None, description=say("With `oidc`: the PKCE verifier.", "OIDC：PKCE 校验值。")
    )
    redirect_uri: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        default=None, description=say("With `oidc`: where the code was sent.", "OIDC：接收授权码的回调地址。")
    )
    nonce: Annotated[str, StringConstraints(min_length=16, max_length=200)] | None = Field(
        default=None, description=say("With `oidc`: that of the request for the code.", "OIDC：授权请求中的 nonce。")
    )


class SessionIn(LoginIn):
    """A login."""

    device: Short | None = Field(default=None, description=say("What to call this device.", "设备名称。"))


class LoginOut(Out):
    """One way into the account."""

    id: uuid.UUID
    provider: str
    made_at: Moment


class ProviderOut(Out):
    """A way to log in, and what an app must know to use it."""

    provider: str
    title: str
    on: bool = Field(description=say("Whether it is set up here.", "是否已开通。"))
    note: str | None = Field(
        None, description=say("What whoever logs in this way should know.", "使用该方式登录须知。")
    )
    facts: dict[str, str] = Field(
        description=say("What an app needs: `client_id`, `issuer`.", "应用所需参数，如 client_id、issuer。")
    )


class RefreshIn(In):
    """The newest refresh token of a session."""

    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class AccountOut(Out):
    """What logged in."""

    id: uuid.UUID
    person: NamedOut | None


class TokensOut(Out):
    """An access token to call with, and a refresh token to get the next pair with."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - its type, not a secret
    expires_in: int = Field(description=say("Seconds for which the access token is valid.", "访问令牌有效秒数。"))
    refresh_token: str
    account: AccountOut


class SessionOut(Out):
    """One login on one device."""

    id: uuid.UUID
    provider: str
    device: str | None
    current: bool = Field(description=say("The session of this request.", "是否为当前会话。"))
    made_at: Moment
    used_at: Moment = Field(description=say("When it was last refreshed.", "最近一次刷新时间。"))
    expires_at: Moment


class DocumentOut(Out):
    """A document, as far as its owner sees it again."""

    kind: DocumentKind
    last4: str


class PersonOut(Out):
    """The caller as a resident."""

    id: uuid.UUID
    name: str
    community: str = Field(description=say("The region where they live.", "居住地区划代码。"))
    level: int = Field(
        description=say(
            "How well they are known: 1 by phone, 2 by a document number, 3 confirmed by staff or an authority.",
            "实名等级：1 手机号，2 证件号码，3 经工作人员或权威机构核验。",
        )
    )
    document: DocumentOut | None
    phone_masked: str | None


class OwnAccountOut(Out):
    """The caller's account."""

    id: uuid.UUID
    kind: Literal["person", "device", "partner"]


class RoleOut(Out):
    """What the account may do, for everything whose region code starts with `region`."""

    role: str
    region: str
    place_id: uuid.UUID | None


class ActsForOut(Out):
    """Somebody the caller may act for."""

    person: NamedOut
    relation: Literal["guardian", "proxy"]
    services: list[str] | None = Field(
        description=say("For these services only; null: all.", "仅限这些服务；空为全部。")
    )
    until: Moment | None
    level: Literal["declared", "checked", "confirmed"] | None = Field(
        description=say("How well a guardianship is known; null: a proxy.", "监护关系核验程度；代办关系为空。")
    )
    cap_fen: int | None = Field(
        description=say("Most that a proxy may spend in a month, in fen.", "受托人每月消费上限（分）。")
    )


class MeOut(Out):
    """Who the caller is, and for whom they may act."""

    person: PersonOut | None
    account: OwnAccountOut
    roles: list[RoleOut]
    acts_for: list[ActsForOut]


class DocumentIn(In):
    """A document as somebody typed it."""

    kind: Annotated[DocumentKind, AfterValidator(_is_shown)]
    number: Short


class RealNameIn(In):
    """Who the caller is, by a document."""

    name: Name
    document: DocumentIn


class PurposeOut(Out):
    """Something residents may be asked to consent to."""

    code: str
    title: str
    text: str
    version: int = Field(description=say("Grows when the words change their meaning.", "内容有实质变更时递增。"))
    services: list[str] = Field(description=say("Services that ask for it.", "使用该授权的服务。"))
    sensitive: bool = Field(description=say("Sensitive by law; asked for separately.", "属敏感个人信息，须单独同意。"))
    required: bool = Field(
        description=say("Without it nobody takes part in its services.", "不同意则无法使用相应服务。")
    )
    guardian_under: int = Field(description=say("Below this age a guardian consents.", "低于此年龄须由监护人同意。"))


class ConsentIn(In):
    """Yes or no to a purpose."""

    given: bool = Field(description=say("False takes the consent back.", "为否时即撤回同意。"))
    version: int = Field(
        ge=1, le=1_000_000, description=say("The version that was read; when taking back, any.", "所阅读的版本。")
    )
    channel: Literal["app", "desk", "phone", "paper"] = Field(
        default="app",
        description=say("How the resident said it; staff name the others.", "居民的表达渠道；其他渠道由工作人员填写。"),
    )
    by: uuid.UUID | None = Field(
        default=None,
        description=say(
            "At the desk: the guardian or proxy who said it; left out: the person.",
            "窗口办理时作出表示的监护人或受委托人；省略则为本人。",
        ),
    )


class ConsentWordOut(Out):
    """One word about a purpose, and who said it."""

    given: bool
    version: int
    at: Moment
    channel: Literal["app", "desk", "phone", "paper"]
    given_by: Literal["self", "guardian", "proxy"]
    person: NamedOut = Field(description=say("Who said it.", "作出表示的人。"))
    until: Moment | None = Field(
        description=say(
            "A guardian's word for a child counts so long; from 14 on it takes the child's own.",
            "监护人代为同意的有效期；年满 14 周岁后须由本人确认。",
        )
    )


class ConsentOut(Out):
    """One purpose, what stands today, and all that was said before, the newest first."""

    purpose: str
    title: str
    version: int = Field(description=say("The version of today's words.", "当前内容的版本。"))
    state: Literal["given", "outdated", "lapsed", "withdrawn", "never"] = Field(
        description=say(
            "`lapsed`: a guardian had agreed, and now it takes the person's own word.",
            "`lapsed`：监护人曾同意，现须本人表示。",
        )
    )
    given: bool = Field(description=say("Whether it counts today.", "当前是否有效。"))
    history: list[ConsentWordOut]
