"""Masks: what is left of names, numbers and phones."""

from __future__ import annotations

import pytest

from shared import masking


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("张三", "张*"),
        ("张三丰", "张*"),
        ("欧阳娜娜", "欧阳*"),
        ("诸葛亮", "诸葛*"),
        ("欧阳", "欧*"),
        ("张", "*"),
        ("", "*"),
        (" 张三 ", "张*"),
        ("阿依古丽·买买提", "阿*"),
        ("Anna Keller", "A*"),
    ],
)
def test_a_masked_name_keeps_the_surname(name: str, masked: str) -> None:
    assert masking.name(name) == masked


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("330411193801011234", "330***********1234"),
        ("USA330485031201", "USA********1201"),
        ("E12345678", "*****5678"),
        ("12345678", "****5678"),
        ("1234567", "*******"),
        ("", ""),
    ],
)
def test_a_masked_number_hides_at_least_half(number: str, masked: str) -> None:
    assert masking.number(number) == masked
    assert 2 * masked.count("*") >= len(number)


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("8613812345678", "138****5678"),
        ("8657382835678", "0573****5678"),
        ("861062345678", "010****5678"),
        ("862162345678", "021****5678"),
        ("865737283567", "0573****3567"),
        ("12345", "*****"),
    ],
)
def test_a_masked_telephone_keeps_its_ends(number: str, masked: str) -> None:
    assert masking.phone(number) == masked
