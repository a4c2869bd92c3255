"""The first administrator of a town without anybody in it, from an invitation on the command line to the console."""

from __future__ import annotations

from pathlib import Path

import psycopg

from shared import crypto
from shared.settings import Settings
from tests.cli import commands
from tests.identity.staffroom import Desk, act, asking
from tests.town import Town

PASSWORD = "a long one of my own 邮筒"


def test_the_first_administrator_is_invited_from_the_command_line(database_url: str, tmp_path: Path) -> None:
    Town(database_url)  # regions
    where = ("--data-dir", tmp_path)
    commands.said("migrate", *where, url=database_url)

    def invite(*words: object) -> str:
        page, code = commands.said("staff", "invite", *words, *where, url=database_url).split()
        assert page == "http://127.0.0.1:8000/oauth/invitation"
        return code

    code = invite("zhang.san", "--region", "33", "--name", "张三")
    keys = crypto.load_or_create(tmp_path / "keys.json", may_create=False)

    async def play(desk: Desk) -> None:
        page = await desk.http.get("/oauth/invitation")
        answer = await desk.submit(page, username="zhang.san", code=code, password=PASSWORD, again=PASSWORD)
        assert answer.status_code == 200
        first = await desk.log_in(asking(), "zhang.san", PASSWORD)
        assert "otpauth://" in first.text, "an administrator needs a second factor at once"

    act(database_url, keys, Settings(data_dir=tmp_path), play)
    assert invite("zhang.san", "--region", "3304") != code
    with psycopg.connect(database_url) as connection:
        assert connection.execute(
            "SELECT a.name, r.role, r.prefix FROM roles r JOIN accounts a ON a.no = r.account_no"
        ).fetchall() == [("张三", "administrator", "33")]

    for words, said in (
        (("x", "--region", "33"), "A login is 2 to 64 letters, digits and . @ + - _."),
        (("li.si", "--region", "99"), "There is no region 99; see `linli regions import`."),
        (("li.si", "--region", "33", "--role", "king"), "There is no role called king."),
    ):
        assert commands.refusal("staff", "invite", *words, *where, url=database_url) == said
