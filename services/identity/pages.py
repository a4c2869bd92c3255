"""The pages on which staff log in: plain forms that work without a script, in two languages, out of one piece.

Whatever stands in them is escaped; nothing is loaded but one style sheet of ours.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import segno

from services.identity import passwords, second
from shared.texts import LANGUAGES, choose, say

_PAGE: Final = """<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title} · 邻里 Linli</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/oauth/login.css">
</head>
<body>
<main>
<header>邻里 Linli</header>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
NAMES: Final = {"zh": "中文", "en": "English"}

TITLE: Final = say("Staff log in", "工作人员登录")
SECOND: Final = say("One more step", "动态口令验证")
ENROL: Final = say("Set up your authenticator app", "启用动态口令")
RECOVERY: Final = say("Write these down", "请保存恢复码")
INVITATION: Final = say("Set your password", "设置密码")
DONE: Final = say("Your password is set", "密码已设置")
GO_ON: Final = say("You may close this page, and log in where you work.", "您可关闭此页面，并在所用系统中登录。")
STRAY: Final = say("This link does not work", "链接无效")

PROBLEMS: Final = {
    "wrong": say("The name or the password is wrong.", "登录名或密码不正确。"),
    "code": say("The code is wrong or was used before.", "动态口令不正确或已使用。"),
    "stale": say("This page was open for too long. Please try again.", "页面已过期，请重试。"),
    "invitation": say("The name or the code is wrong, or the code is over.", "登录名或邀请码不正确，或邀请码已失效。"),
    "differ": say("The two passwords differ.", "两次输入的密码不一致。"),
    "too_short": say(
        f"The password is too short: at least {passwords.LEAST} characters.",
        f"密码过短，至少 {passwords.LEAST} 个字符。",
    ),
    "too_long": say(
        f"The password is too long: at most {passwords.MOST} characters.", f"密码过长，最多 {passwords.MOST} 个字符。"
    ),
    "unreadable": say("The password has characters that cannot be typed.", "密码含有无法输入的字符。"),
    "too_common": say(
        "Others would guess this password first. Take several words that do not belong together.",
        "该密码过于常见或容易被猜到，请使用几个互不相关的词。",
    ),
    "stray": say(
        "The program that sent you here is not known, or may not send you back there. Nothing was done.",
        "来源应用未登记或回跳地址不被允许，未执行任何操作。",
    ),
}
_HIDDEN: Final = '<input type="hidden" name="{}" value="{}">'


def whole(seconds: float) -> int:
    """Seconds to wait, as people and programs are told."""
    return max(1, math.ceil(seconds))


def waits(seconds: float) -> str:
    """That the next try must wait."""
    return say(f"Please wait {whole(seconds)} seconds and try again.", f"请等待 {whole(seconds)} 秒后重试。")


def told(lang: str, title: str, text: str) -> str:
    """A page that only says something."""
    return _page(lang, title, f'<p role="alert">{escape(text)}</p>')


def login(lang: str, hidden: Mapping[str, str], *, name: str = "", problem: str | None = None) -> str:
    """Name and password."""
    fields = _field(
        "username", say("Name", "登录名"), lang, value=name, autocomplete="username", autocapitalize="none"
    ) + _field("password", say("Password", "密码"), lang, kind="password", autocomplete="current-password")
    return _form(lang, TITLE, "/oauth/authorize", hidden, fields, say("Log in", "登录"), problem)


def code(lang: str, hidden: Mapping[str, str], *, problem: str | None = None) -> str:
    """The code of the second factor."""
    fields = _code_field(lang) + _hint(
        say("From your authenticator app, or one of your recovery codes.", "来自验证器应用，也可输入恢复码。"), lang
    )
    return _form(lang, SECOND, "/oauth/authorize", hidden, fields, say("Continue", "继续"), problem)


def enrol(lang: str, hidden: Mapping[str, str], *, secret: str, name: str, problem: str | None = None) -> str:
    """A new secret for an app, as a picture and to type."""
    uri = second.uri(secret, name)
    drawing = io.BytesIO()
    segno.make_qr(uri, error="m").save(
        drawing, kind="svg", xmldecl=False, svgns=True, omitsize=True, nl=False, svgclass="drawing", lineclass=None
    )
    fields = (
        _hint(
            say(
                "Your role needs a second factor. Scan this with an authenticator app, or type the secret into it; then "
                "type the code that it shows.",
                "您的角色需要动态口令。请用验证器应用扫描二维码或手动输入密钥，再填写应用显示的口令。",
            ),
            lang,
        )
        + drawing.getvalue().decode()
        + f'<p class="secret">{escape(secret)}</p><p class="secret hint">{escape(uri)}</p>'
        + _code_field(lang)
    )
    return _form(lang, ENROL, "/oauth/authorize", hidden, fields, say("Continue", "继续"), problem)


def recovery(lang: str, hidden: Mapping[str, str], codes: Sequence[str]) -> str:
    """The recovery codes, this once."""
    fields = _hint(
        say(
            "Each opens once when your app is lost. They are not shown again.",
            "验证器应用丢失时，每个恢复码可使用一次；此后不再显示。",
        ),
        lang,
    ) + '<ul class="codes">{}</ul>'.format("".join(f"<li>{escape(one)}</li>" for one in codes))
    return _form(lang, RECOVERY, "/oauth/authorize", hidden, fields, say("I have them", "已保存"), None)


def invitation(lang: str, hidden: Mapping[str, str], *, name: str = "", problem: str | None = None) -> str:
    """The first password, or a new one, with an invitation's code."""
    fields = (
        _field("username", say("Name", "登录名"), lang, value=name, autocomplete="username", autocapitalize="none")
        + _field("code", say("Code of your invitation", "邀请码"), lang, autocomplete="one-time-code")
        + _field("password", say("New password", "新密码"), lang, kind="password", autocomplete="new-password")
        + _hint(
            say(
                f"At least {passwords.LEAST} characters, better {passwords.GOOD} or more; any characters will do.",
                f"至少 {passwords.LEAST} 个字符，建议 {passwords.GOOD} 个以上，字符种类不限。",
            ),
            lang,
        )
        + _field("again", say("Once more", "再次输入"), lang, kind="password", autocomplete="new-password")
    )
    return _form(lang, INVITATION, "/oauth/invitation", hidden, fields, say("Set password", "设置密码"), problem)


def _page(lang: str, title: str, body: str) -> str:
    return _PAGE.format(lang=lang, title=escape(choose(title, lang)), body=body)


def _form(
    lang: str,
    title: str,
    action: str,
    hidden: Mapping[str, str],
    fields: str,
    button: str,
    problem: str | None,
) -> str:
    """A form; the buttons that switch the language stand last, so that the Enter key means the first."""
    alert = f'<p role="alert">{escape(problem)}</p>\n' if problem else ""
    kept = "".join(_HIDDEN.format(escape(name), escape(value)) for name, value in hidden.items())
    others = "".join(
        f'<button form="form" name="switch" value="{one}" lang="{one}" formnovalidate>{NAMES[one]}</button>'
        for one in LANGUAGES
        if one != lang and title is not RECOVERY  # the codes are shown this once
    )
    return _page(
        lang,
        title,
        f'{alert}<form id="form" class="card" method="post" action="{action}">{kept}{fields}'
        f'<button type="submit">{escape(choose(button, lang))}</button></form>\n<footer>{others}</footer>',
    )


def _field(name: str, label: str, lang: str, *, kind: str = "text", value: str = "", **told: str) -> str:
    more = "".join(f' {key}="{escape(one)}"' for key, one in told.items())
    return (
        f'<label for="{name}">{escape(choose(label, lang))}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" value="{escape(value)}" required{more}>'
    )


def _code_field(lang: str) -> str:
    return _field("code", say("Code", "动态口令"), lang, autocomplete="one-time-code", autocapitalize="none")


def _hint(text: str, lang: str) -> str:
    return f'<p class="hint">{escape(choose(text, lang))}</p>'
