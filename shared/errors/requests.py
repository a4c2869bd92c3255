"""How something was asked: 400 and 422."""

from __future__ import annotations

from shared.errors.refusal import Unprocessable, Unreadable


class IdempotencyKeyMissing(Unreadable):
    """This request needs an Idempotency-Key header of 8 to 128 characters."""

    code = "idempotency_key_missing"
    zh = "请求缺少 Idempotency-Key 头(8 至 128 个字符)。"


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
