"""The console's own texts: tags, headers, and what the words in lists mean. Every one in both languages."""

from __future__ import annotations

from typing import Any, Final

from shared.texts import say

ABOUT: Final = say(
    """The backend of a neighbourhood's services: find a slot, claim places in it, come, leave.

**Log in.** `POST /v1/identity/codes`, then `POST /v1/identity/sessions`; send `Authorization: Bearer …`. Staff press Authorize
and log in with a password. What is public needs no token.

**Claim.** Each claim needs an `Idempotency-Key`: the same key and body give the same claim, never a second one. If the
answer is lost, send it again, or ask `GET /v1/claims/by-key/{key}`.

**Problems** are `application/problem+json` (RFC 9457); programs read `code`. `Accept-Language` chooses their language: `zh` (default) or `en`.

**Lists** come in pages: `limit` and `cursor` in, `items` and `next` out; `next` is null on the last page.

Times are RFC 3339 with an offset, in the town's zone; money is in fen (`_fen`), temperatures in Celsius (`_c`).
`X-Request-Id` names a request: send your own, or take ours when you ask us about it.""",
    """社区服务后端：查询场次、预约、到场、离场。

**登录**：先 `POST /v1/identity/codes` 获取验证码，再 `POST /v1/identity/sessions`；之后携带 `Authorization: Bearer …`。工作人员点击“登录授权”使用密码登录。公开内容无需登录。

**预约**：每次预约须带 `Idempotency-Key`：相同的键与内容只会得到同一个预约，不会重复。若未收到结果，可原样重发，或查询 `GET /v1/claims/by-key/{key}`。

**错误**以 `application/problem+json`（RFC 9457）返回，程序读取 `code`。语言由 `Accept-Language` 决定：`zh`（默认）或 `en`。

**列表**分页返回：传入 `limit` 与 `cursor`，得到 `items` 与 `next`；最后一页 `next` 为空。

时间为带时区的 RFC 3339 格式（本地时区）；金额单位为分（`_fen`），温度为摄氏度（`_c`）。
`X-Request-Id` 标识一次请求：可自行提供，也可在反馈问题时引用我们返回的编号。""",
)

BEARER: Final = say(
    "An access token (JWT as RFC8725 asks): paste it without the word Bearer.",
    "访问令牌（JWT，遵循 RFC8725）：直接粘贴，无需 Bearer 前缀。",
)

STAFF: Final = say(
    "Staff log in with name and password (authorization code with PKCE) for an access token (JWT as RFC8725 asks); the client "
    "is `linli-console`.",
    "工作人员使用登录名与密码登录（授权码 + PKCE），取得访问令牌（JWT，遵循 RFC8725），客户端为 `linli-console`。",
)

TAGS: Final[dict[str, str]] = {
    "slots": say("What can be booked, and when.", "可预约的场次。"),
    "claims": say("What one has in all services: read it, cancel it.", "在所有服务中的预约：查询与取消。"),
    "notices": say("What happened to oneself and those one acts for.", "本人及所代办人员的通知。"),
    "reservations": say("Places in facilities.", "场所预约。"),
    "booking facilities": say("Facilities, their hours, rules and closures.", "场所、开放时间、预约规则与停用。"),
    "orders": say("Meals for elders.", "长者订餐。"),
    "standing orders": say("The same meal on the same weekdays.", "长期订餐。"),
    "elders": say("What must be known of elders, and when they are away.", "长者档案与外出报备。"),
    "elder-meals kitchens": say("Kitchens, their hours, rules and terms.", "厨房、开放时间、预约规则与细则。"),
    "menus": say("What kitchens cook: dishes, menus, the day's sheet.", "菜品、菜单与生产单。"),
    "rounds": say("From door to door, and what is done when nobody opens.", "送餐路线、送达结果与探视任务。"),
    "events": say("Events and courses.", "活动与课程。"),
    "registrations": say("Seats in events, the door, and calendars.", "活动报名、签到与日历。"),
    "visits": say("Children come to a room, are brought and collected.", "儿童之家预约、签到与接送。"),
    "children": say("What carers need to know, and who may collect a child.", "儿童照护须知与接领名单。"),
    "childcare rooms": say("Children's rooms, who is inside, carers on duty.", "儿童之家、在室人数与在岗照护人员。"),
    "incidents": say("What happened in a room; never changed.", "儿童之家事件登记，不可修改。"),
    "identity": say("Logging in, people and for whom they act.", "登录、人员与代办关系。"),
    "privacy": say(
        "What may be known of people, by whom, and what became of it.", "个人信息：查看、留痕、导出、更正与注销。"
    ),
    "staff log in": say("Invitations, passwords and second factors of staff.", "工作人员的邀请、密码与动态口令。"),
    "partners": say("Other systems: keys, notices to poll for or to be sent.", "合作系统：密钥、通知轮询与推送。"),
    "open data": say("What is free, for everybody's programs.", "面向公众程序的开放数据。"),
    "town": say("Regions and days of the town.", "行政区划与日历。"),
    "webhooks": say("What is sent to partners' endpoints.", "推送给合作方接口的通知。"),
}
"""In the order of a working day."""

PATHS: Final[dict[str, str]] = {
    "account_id": say("The account.", "账号编号。"),
    "code": say("The region's code.", "区划代码。"),
    "day": say("The date.", "日期。"),
    "delivery_id": say("The delivery.", "推送编号。"),
    "endpoint_id": say("The endpoint.", "接口编号。"),
    "group_id": say("The claim's group.", "预约组编号。"),
    "guardian_id": say("The guardian.", "监护人编号。"),
    "key": say("The Idempotency-Key that was sent.", "当时提交的幂等键。"),
    "key_id": say("The key.", "密钥编号。"),
    "order_id": say("The order.", "订单编号。"),
    "purpose": say("The purpose.", "授权用途。"),
    "conflict_id": say("The case.", "冲突编号。"),
    "role_id": say("The role.", "授权编号。"),
    "tie_id": say("The entry.", "登记编号。"),
    "person_id": say("The person.", "人员编号。"),
    "login_id": say("The way to log in.", "登录方式编号。"),
    "proxy_id": say("The proxy.", "代办关系编号。"),
    "request_id": say("The request.", "申请编号。"),
    "reveal_id": say("The reveal.", "查看申请编号。"),
    "reservation_id": say("The reservation.", "预约编号。"),
    "registration_id": say("The registration.", "报名编号。"),
    "session_id": say("The session, or `current`.", "会话编号，或 `current`。"),
    "slot_id": say("The slot.", "场次编号。"),
    "visit_id": say("The visit.", "到访编号。"),
}
"""What is named in a path, where its route does not say so itself."""

PUSHED: Final = say(
    "Sent to every endpoint that asked for this type in this region, signed as Standard Webhooks 1.0.0 asks. Answer 2xx within "
    "15 seconds; anything else is tried again for three days. It may come twice: `webhook-id` is the same then.",
    "推送给订阅了该类型与区域的每个接口，按 Standard Webhooks 1.0.0 签名。请在 15 秒内返回 2xx；否则将在三天内重试。"
    "同一通知可能重复送达，此时 `webhook-id` 相同。",
)

DONE: Final[dict[str, str]] = {
    "200": say("Done.", "成功。"),
    "201": say("Made.", "已创建。"),
    "202": say("Taken on; it is not done yet.", "已受理，尚未完成。"),
    "204": say("Done; nothing more to say.", "成功，无内容。"),
    "4XX": say("Refused.", "被拒绝。"),
}

UNTIL: Final[dict[str, str]] = {
    "held_until": say("When the held places may come free.", "保留名额可能释放的时间。"),
    "opens_at": say("When booking, or the door, opens.", "开放预约或入场的时间。"),
    "until": say("When the pause or the lease ends.", "暂停或租约结束的时间。"),
}

MEMBERS: Final[dict[str, Any]] = {
    "purposes": {
        "type": "array",
        "maxItems": 50,
        "items": {"type": "string"},
        "description": say("What is still to be consented to.", "尚需同意的授权用途。"),
    },
    "oldest": {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "description": say("The position to begin behind.", "可从此位置之后开始读取。"),
    },
}

HEADERS: Final[dict[str, Any]] = {
    "X-Request-Id": {
        "description": say("The request's id: yours, or ours.", "请求编号：由您提供或由我们生成。"),
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "Idempotency-Replayed": {
        "description": say("`true` when this key was answered before.", "该幂等键已处理过时为 `true`。"),
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {
        "description": say("Where the claim can be read.", "预约的地址。"),
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "ETag": {
        "description": say("The version read; an edit sends it as If-Match.", "所读版本；修改时作为 If-Match 提交。"),
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": say(
            "What is left of the account's burst, once less than half of it is.",
            "账号剩余的突发额度（低于一半时提供）。",
        ),
        "schema": {"type": "string"},
    },
    "Access-Control-Allow-Origin": {
        "description": say("Only for origins that the deployment lists.", "仅对部署所列来源返回。"),
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": say("Seconds until it is worth trying again.", "多少秒后可重试。"),
        "schema": {"type": "integer", "format": "int32", "minimum": 0},
    },
}

PARAMETERS: Final[dict[str, Any]] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": say(
            "Names this wish, e.g. a UUID; the same key never claims twice. Kept for seven days.",
            "标识本次请求，例如 UUID；相同的键不会重复预约，保留七天。",
        ),
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{8,128}$", "minLength": 8, "maxLength": 128},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": True,
        "description": say("The ETag that was read.", "所读取的 ETag。"),
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    },
}

EVERYWHERE: Final = ("X-Request-Id", "RateLimit", "Access-Control-Allow-Origin")
"""Headers that any answer may carry."""

CLAIMS: Final[dict[str, dict[str, Any]]] = {
    "elder-meals.orders.create": {"lines": [{"dish_id": "01990000-0000-7000-8000-000000000001", "portions": 1}]},
    "childcare.visits.create": {"persons": ["01990000-0000-7000-8000-000000000002"], "stays": False},
}
"""What some claims say besides."""

CLAIM: Final[dict[str, Any]] = {"slot_id": "01990000-0000-7000-8000-000000000000", "if_full": "refuse"}
"""The least that a claim says."""
