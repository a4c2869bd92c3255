"""What does not work for now: 503 and 504."""

from __future__ import annotations

from shared.errors.refusal import Unavailable


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
