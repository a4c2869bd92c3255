"""The region tree: what ships, what is refused, and who covers whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import regions

HEADER = "code,name,level,parent_code\n"
TOP = HEADER + "33,浙江省,province,\n3304,嘉兴市,city,33\n"


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "regions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_table_is_sound_and_holds_the_demo_town() -> None:
    shipped = {region.code: region for region in regions.read()}
    levels = [region.level for region in shipped.values()]
    assert (levels.count("province"), levels.count("city"), levels.count("county")) == (1, 11, 90)
    assert {code[:6] for code in shipped if len(code) > 6} == {"330402", "330411", "330424"}
    assert {len(code) for code in shipped if code.startswith("330411")} == {6, 9, 12}
    assert shipped["330411"] == regions.Region("330411", "秀洲区", "county", "3304")


def test_a_table_of_ones_own_may_hang_below_known_codes(tmp_path: Path) -> None:
    path = table(tmp_path, HEADER + "330411105003-01,天星小区,estate,330411105003\n")
    assert [r.level for r in regions.read(path, known={"330411105003"})] == ["estate"]
    with pytest.raises(regions.RegionFileWrong, match="line 2: the parent 330411105003 does not come before"):
        list(regions.read(path))


def test_a_table_that_went_through_excel_is_read(tmp_path: Path) -> None:
    path = table(tmp_path, "\ufeff" + TOP.replace("\n", "\r\n"))
    assert [r.code for r in regions.read(path)] == ["33", "3304"]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("3304,嘉兴市,city,33", "there twice"),
        ("3305,湖州市,county,33", "cannot be of level"),
        ("330411,秀洲区,county,33", "is not the parent"),
        ("330511,某区,county,3305", "does not come before"),
        ("33041,某区,county,3304", "is not a region code"),
        ("３３０５,湖州市,city,33", "is not a region code"),
        ("3305,,city,33", "no proper name"),
        ("3305, 湖州市,city,33", "no proper name"),
        ('3305,"湖州\n市",city,33', "no proper name"),
        ("3305,湖州市,city", "3 columns instead of 4"),
        ("3305,湖\x00州市,city,33", "line"),
        ('3305,"湖州"市,city,33', "line"),
        ("", "0 columns"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, wrong: str) -> None:
    with pytest.raises(regions.RegionFileWrong, match=wrong) as refused:
        list(regions.read(table(tmp_path, TOP + line + "\n")))
    assert refused.value.line >= 4


def test_other_columns_and_other_encodings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(regions.RegionFileWrong, match="line 1"):
        list(regions.read(table(tmp_path, "name,code\n")))
    with pytest.raises(regions.RegionFileWrong, match="line 1"):
        list(regions.read(table(tmp_path, "")))
    path = tmp_path / "gbk.csv"
    path.write_bytes(TOP.encode("gbk"))
    with pytest.raises(regions.RegionFileWrong, match="UTF-8"):
        list(regions.read(path))


def test_levels_follow_from_the_length_of_the_code() -> None:
    codes = ["33", "3304", "330411", "330411105", "330411105003", "330411105003-01"]
    assert [regions.level_of(code) for code in codes] == [
        "province", "city", "county", "street", "community", "estate",
    ]  # fmt: skip
    assert all(regions.LEVELS[regions.level_of(code)] == len(code) for code in codes)
    with pytest.raises(ValueError, match="not a region code"):
        regions.level_of("33041")


@pytest.mark.parametrize("text", ["", "3", "033", "33041", "3304110", "33-01", "330411105003-1", "٣٣", "33\n", "33 "])
def test_what_is_not_a_code(text: str) -> None:
    assert not regions.is_code(text)


def test_a_region_covers_itself_and_what_lies_below_it() -> None:
    line = ["33", "3304", "330411", "330411105", "330411105003", "330411105003-01"]
    for above, prefix in enumerate(line):
        assert [regions.covers(prefix, code) for code in line] == [below >= above for below in range(len(line))]


@pytest.mark.parametrize("prefix", ["", "3", "33041", "33041110", "330411105003-"])
def test_half_a_code_covers_nothing(prefix: str) -> None:
    assert not regions.covers(prefix, "330411105003-01")


def test_what_is_not_a_code_is_covered_by_nothing() -> None:
    assert not regions.covers("33", "33041")
    assert not regions.covers("33041", "33041")


PARENTS = {region.code: region.parent_code for region in regions.read()}


@given(st.sampled_from(list(PARENTS)), st.sampled_from(list(PARENTS)))
def test_covering_is_walking_up_the_tree(prefix: str, code: str) -> None:
    walked: str | None = code
    while walked is not None and walked != prefix:
        walked = PARENTS[walked]
    assert regions.covers(prefix, code) == (walked == prefix)
