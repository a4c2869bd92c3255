"""The kitchen's sheet for paper and spreadsheets: dishes first, then box by box what goes in and what must not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from fastapi import Response

from shared import clock
from shared.places import sheets
from shared.texts import choose, say

_HEADINGS = (
    say("Window", "时段"),
    say("Box", "餐盒"),
    say("Dish", "菜品"),
    say("Portions", "份数"),
    say("Must not contain", "过敏忌口"),
    say("Diet", "饮食要求"),
    say("Texture", "质地"),
    say("Way", "方式"),
    say("Note", "备注"),
)
_WORDS = {
    "gluten": say("gluten", "麸质"),
    "crustacean": say("crustaceans", "甲壳类"),
    "egg": say("egg", "蛋"),
    "fish": say("fish", "鱼"),
    "peanut": say("peanut", "花生"),
    "soy": say("soy", "大豆"),
    "milk": say("milk", "乳"),
    "nut": say("nuts", "坚果"),
    "celery": say("celery", "芹菜"),
    "mustard": say("mustard", "芥末"),
    "sesame": say("sesame", "芝麻"),
    "sulphite": say("sulphite", "亚硫酸盐"),
    "lupin": say("lupin", "羽扇豆"),
    "shellfish": say("shellfish", "贝类"),
    "low_salt": say("low salt", "少盐"),
    "low_sugar": say("low sugar", "少糖"),
    "low_oil": say("low oil", "少油"),
    "low_purine": say("low purine", "低嘌呤"),
    "diabetic": say("diabetic", "糖尿病餐"),
    "halal": say("halal", "清真"),
    "vegetarian": say("vegetarian", "素食"),
    "no_pork": say("no pork", "不含猪肉"),
    "normal": say("normal", "普通"),
    "soft": say("soft", "软"),
    "minced": say("minced", "碎"),
    "liquid": say("liquid", "流质"),
}
_ALL = say("all", "合计")
_TO_DOOR = say("to the door", "配送")
_FETCHED = say("fetched", "自取")


def rows(windows: Sequence[Mapping[str, Any]], lang: str) -> Iterator[tuple[str, ...]]:
    """One row a dish of all boxes, then one a dish of each box."""
    for window in windows:
        when = f"{clock.local(window['starts_at']):%H:%M} {window['title']}"
        for total in window["dishes"]:
            yield (when, choose(_ALL, lang), total["name"], str(total["portions"]), "", "", "", "", "")
        for ticket in window["tickets"]:
            marks = (
                _words(ticket["allergens"], lang),
                _words(ticket["diet"], lang),
                _words([ticket["texture"]], lang),
                choose(_TO_DOOR if ticket["delivered"] else _FETCHED, lang),
                ticket["note"] or "",
            )
            for line in ticket["lines"]:
                yield (when, str(ticket["no"]), line["name"], str(line["portions"]), *marks)


def _words(marks: Sequence[str], lang: str) -> str:
    return ", ".join(choose(_WORDS.get(one, one), lang) for one in marks)


def answer(
    name: str, day: date, windows: Sequence[Mapping[str, Any]], form: str, lang: str, headers: Mapping[str, str]
) -> Response:
    """The sheet as a file for spreadsheets, or as a page that prints."""
    headings = [choose(heading, lang) for heading in _HEADINGS]
    if form == "csv":
        told = {**headers, "Content-Disposition": f'attachment; filename="production-{day}.csv"'}
        return Response(
            sheets.table_csv(headings, rows(windows, lang)), headers=told, media_type="text/csv; charset=utf-8"
        )
    told = {**headers, "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    page = sheets.table_html(f"{name} {day.isoformat()}", headings, rows(windows, lang), lang)
    return Response(page, headers=told, media_type="text/html; charset=utf-8")
