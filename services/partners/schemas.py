"""What partners say and hear."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from services.partners import rules
from shared.claiming import Moment, Short, Text
from shared.pages import LAST
from shared.texts import say
from shared.web import In, Out

Kind = Annotated[str, StringConstraints(pattern=rules.TYPES)]
KindList = Annotated[str, StringConstraints(pattern=rf"^{rules.TYPES[1:-1]}(,{rules.TYPES[1:-1]})*$", max_length=2000)]
"""Several, separated by commas, as a query writes them."""
Kinds = Annotated[list[Kind], Field(min_length=1, max_length=100)]
Region = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}(-[0-9]{2})?$")]
Operation = Annotated[str, StringConstraints(pattern=rules.OPERATION)]


def _in_our_time(told: datetime) -> datetime:
    if not 2000 <= told.year <= 2200:
        raise ValueError("year")
    return told


When = Annotated[AwareDatetime, AfterValidator(_in_our_time)]

_TYPES = say(
    "Types of notices, families such as `booking.*`, or `*`.", "通知类型，如 `booking.*` 表示一类，`*` 表示全部。"
)
_REGION = say("A region code; all below it.", "区划代码（含下级）。")


class KeyIn(In):
    """A key for a partner's system."""

    name: Short = Field(description=say("Whose key it is.", "密钥的使用方。"))
    types: Kinds = Field(description=_TYPES)
    region: Region = Field(description=_REGION)
    facility_id: uuid.UUID | None = Field(default=None, description=say("Only this place.", "仅限此场所。"))
    operations: Annotated[list[Operation], Field(min_length=1, max_length=200)] = Field(
        default=["partners.*"],
        description=say(
            "operationIds it may be used for, or families such as `partners.*`.",
            "允许的操作（operationId），如 `partners.*` 表示一类。",
        ),
    )
    account_id: uuid.UUID | None = Field(
        default=None,
        description=say("A partner's account that is there; left out: a new one.", "已有的合作方账号；省略则新建。"),
    )


class KeyOut(Out):
    """A key, without what it reads."""

    id: uuid.UUID
    name: str
    account_id: uuid.UUID
    types: list[str]
    region: str
    facility_id: uuid.UUID | None
    operations: list[str]
    made_at: Moment
    last_used_at: Moment | None
    revoked_at: Moment | None


class KeyMadeOut(KeyOut):
    """A new key; it is never shown again."""

    key: str = Field(
        description=say("Send it as `Authorization: Bearer lk_…`.", "以 `Authorization: Bearer lk_…` 提交。")
    )


class NoticeOut(Out):
    """One notice."""

    position: int = Field(description=say("Its place in the log.", "在日志中的位置。"))
    id: uuid.UUID
    type: str
    occurred_at: Moment
    community: str
    subject: uuid.UUID = Field(description=say("What it is about.", "通知的对象。"))
    data: dict[str, Any] = Field(description=say("As its type says.", "内容随类型而定。"))


class NoticesOut(Out):
    """Notices in the order of their positions."""

    items: list[NoticeOut]
    next: int = Field(description=say("Send it as `after` to go on.", "作为 `after` 继续读取。"))
    done: bool = Field(description=say("Whether that is all for now.", "当前是否已读完。"))


class TypeOut(Out):
    """One kind of notice."""

    name: str
    subject: str
    about: str
    data: dict[str, Any] = Field(description=say("JSON Schema of its data.", "内容的 JSON Schema。"))
    example: dict[str, Any]


class TypesOut(Out):
    """Every kind of notice."""

    items: list[TypeOut]


class ConsumerIn(In):
    """A reader known by name."""

    types: Kinds = Field(default=["*"], description=_TYPES)
    community: Region | None = Field(default=None, description=_REGION)
    start: Literal["oldest", "latest"] = Field(
        default="oldest",
        description=say(
            "Where a new reader begins: `oldest` what is kept, `latest` what comes from now on.",
            "新读者的起点：`oldest` 保留的最早通知，`latest` 仅此后的通知。",
        ),
    )


class ConsumerOut(Out):
    """A reader and how far it is."""

    name: str
    types: list[str]
    community: str
    position: int = Field(description=say("Committed up to here.", "已提交到此位置。"))
    leased_until: Moment | None


class LeaseIn(In):
    """How much to lend, and for how long."""

    limit: int = Field(default=100, ge=1, le=1000, description=say("Most notices.", "最多条数。"))
    seconds: int = Field(default=60, ge=5, le=3600, description=say("How long the lease lasts.", "租约秒数。"))


class LeaseOut(Out):
    """What was lent; `lease` is null where there was nothing."""

    lease: uuid.UUID | None
    items: list[NoticeOut]
    expires_at: Moment | None


class CommitIn(In):
    """What was dealt with."""

    lease: uuid.UUID
    position: int = Field(ge=0, le=LAST, description=say("Dealt with up to here.", "已处理到此位置。"))


def _url(told: str) -> str:
    if not rules.is_url(told):
        raise ValueError("url")
    return told


class EndpointIn(In):
    """An address that wants notices."""

    url: Annotated[str, StringConstraints(max_length=500), AfterValidator(_url)] = Field(
        description=say("An https address of yours.", "您的 https 地址。")
    )
    types: Kinds = Field(description=_TYPES)
    community: Region = Field(description=_REGION)
    ordering: Literal["best_effort", "strict"] = Field(
        default="best_effort",
        description=say(
            "`best_effort`: a notice that fails holds up no other. `strict`: in the order of positions, one at a time.",
            "`best_effort`：单条失败不影响其他通知；`strict`：严格按位置顺序逐条推送。",
        ),
    )
    description: Text | None = Field(default=None, description=say("For yourself.", "备注。"))


class EndpointEditIn(EndpointIn):
    """An endpoint as it is to be."""

    enabled: bool = Field(
        default=True,
        description=say("False: nothing is sent. True again: from now on.", "否：停止推送；恢复后仅推送此后的通知。"),
    )


class EndpointOut(Out):
    """An endpoint and how it is doing."""

    id: uuid.UUID
    url: str
    types: list[str]
    community: str
    ordering: Literal["best_effort", "strict"] = Field(
        description=say("`best_effort` or `strict`, as asked for.", "`best_effort` 或 `strict`，按申请。")
    )
    description: str | None
    state: Literal["unproven", "enabled", "disabled"] = Field(
        description=say(
            "`unproven`: our challenge was not echoed yet. `enabled`: notices are sent. `disabled`: see `reason`.",
            "`unproven`：尚未回应验证；`enabled`：正常推送；`disabled`：已停用，见 `reason`。",
        )
    )
    reason: str | None = Field(
        description=say(
            "Why it is disabled: by_owner, gone (it answered 410), failing (five days), key_revoked.",
            "停用原因：by_owner 本人停用，gone 返回 410，failing 连续失败五天，key_revoked 密钥已吊销。",
        )
    )
    public_key: str = Field(description=say("Verifies the `v1a` signatures.", "用于验证 `v1a` 签名的公钥。"))
    position: int = Field(description=say("Deliveries are made out up to here.", "已生成推送到此位置。"))
    due: int = Field(description=say("Deliveries that are still to be made.", "待推送条数。"))
    failing_since: Moment | None
    throttled_until: Moment | None
    made_at: Moment


class EndpointMadeOut(EndpointOut):
    """A new endpoint with its secret."""

    secret: str = Field(description=say("Verifies the `v1` signatures.", "用于验证 `v1` 签名的密钥。"))


class SecretOut(Out):
    """The secret of an endpoint, for its owner."""

    secret: str
    previous_until: Moment | None = Field(
        description=say("The secret before signs along until then.", "旧密钥在此之前仍同时签名。")
    )


class AttemptOut(Out):
    """One call."""

    made_at: Moment
    status: int | None
    error: str | None = Field(description=say("Why there was no answer.", "无应答的原因。"))
    latency_ms: int
    answer: str | None = Field(description=say("The beginning of the answer.", "应答开头部分。"))


class DeliveryOut(Out):
    """One notice for one endpoint."""

    id: uuid.UUID
    endpoint_id: uuid.UUID
    kind: Literal["notice", "test", "challenge"] = Field(
        description=say(
            "`notice`, `test` (asked for), or `challenge` (proof of ownership).",
            "`notice` 通知，`test` 测试，`challenge` 归属验证。",
        )
    )
    notice_id: uuid.UUID = Field(description=say("The `webhook-id`.", "即 `webhook-id`。"))
    position: int | None
    type: str
    state: Literal["due", "delivered", "failed"] = Field(
        description=say(
            "`due`: it will be sent (again). `delivered`. `failed`: given up.",
            "`due` 待推送；`delivered` 已送达；`failed` 已放弃。",
        )
    )
    attempts: int
    due_at: Moment
    done_at: Moment | None
    tries: list[AttemptOut] = Field(description=say("The last ten attempts, newest first.", "最近十次尝试，最新在前。"))


class RecoverIn(In):
    """From when to when."""

    since: When = Field(description=say("From here.", "起始时间。"))
    until: When = Field(description=say("To here, exclusive.", "截止时间（不含）。"))

    @model_validator(mode="after")
    def _is_a_time(self) -> Self:
        if self.since >= self.until:
            raise ValueError("since comes before until")
        return self


class RecoveredOut(Out):
    """How many deliveries are due again, and whether that is all of the range."""

    recovered: int
    done: bool = Field(description=say("False: ask again for the rest.", "否：请再次请求以处理剩余部分。"))
    next: Moment | None = Field(description=say("Where the rest begins.", "剩余部分的起始时间。"))


class OpenItemOut(Out):
    """A slot in the open feed (RPDE)."""

    state: Literal["updated", "deleted"] = Field(
        description=say(
            "`updated`: see `data`. `deleted`: no longer offered.", "`updated` 见 `data`；`deleted` 不再提供。"
        )
    )
    kind: str
    id: str
    modified: int
    data: dict[str, Any] | None = None


class OpenPageOut(Out):
    """A page of the open feed (RPDE)."""

    next: str
    items: list[OpenItemOut]
    license: str
