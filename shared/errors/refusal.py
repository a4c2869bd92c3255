"""What every refusal is, the roots that say the HTTP status, and how a refusal is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar, Self


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
    def at(cls, pointer: str, code: str, detail: str | None = None, *, where: str = "body", **extra: Any) -> Self:
        """The refusal that says which part of the request is wrong, and how."""
        return cls(detail, errors=[{"in": where, "pointer": pointer, "code": code}], **extra)

    @classmethod
    def title(cls, lang: str) -> str:
        """The sentence in `zh` or `en`."""
        return cls.zh if lang == "zh" else (cls.__doc__ or "").strip()


class Unreadable(Refusal):
    """The request could not be read."""

    status = 400
    code = "unreadable"
    zh = "请求无法读取。"


class NotKnown(Refusal):
    """Please log in first."""

    status = 401
    code = "not_known"
    zh = "请先登录。"


class NotAllowed(Refusal):
    """You may not do this."""

    status = 403
    code = "not_allowed"
    zh = "您没有此操作的权限。"


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


class Broken(Refusal):
    """Something went wrong on our side; it has been written down."""

    status = 500
    code = "broken"
    zh = "系统出错，已记录。"


def every(root: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    """All refusals, depth first, the roots of each status before their kinds."""
    for child in root.__subclasses__():
        yield child
        yield from every(child)


@cache
def by_code(code: str) -> type[Refusal]:
    """The refusal with this code."""
    for kind in every():
        if kind.code == code:
            return kind
    raise LookupError(code)
