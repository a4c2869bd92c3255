"""The made-up town: valid, plausible, and the same every time."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import time
import timeit
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date

import pytest

from services.demo import people
from services.identity import rules
from shared import masking

TODAY = date(2026, 11, 21)
HOMES = [("330411105003", 3.0), ("330424100001", 1.0), ("330402001001", 0.0)]


def town(n: int = 17_000, seed: int = 7, today: date = TODAY) -> list[people.Resident]:
    return list(people.residents(n, seed=seed, communities=HOMES, today=today))


def age(resident: people.Resident) -> int:
    born = resident.born
    return TODAY.year - born.year - ((TODAY.month, TODAY.day) < (born.month, born.day))


def years_between(older: date, younger: date) -> float:
    return (younger - older).days / 365.2425


@pytest.fixture(scope="module")
def all_of_them() -> list[people.Resident]:
    return town()


@pytest.fixture(scope="module")
def households(all_of_them: list[people.Resident]) -> dict[int, list[people.Resident]]:
    found: dict[int, list[people.Resident]] = defaultdict(list)
    for resident in all_of_them:
        found[resident.household].append(resident)
    return found


def test_identity_accepts_every_document(all_of_them: list[people.Resident]) -> None:
    for resident in all_of_them:
        kind = rules.DocumentKind(resident.document_kind)
        document = rules.read_document(kind, resident.document_number, today=TODAY)
        assert document.number == resident.document_number
        if document.born is not None:
            assert (document.born, document.sex) == (resident.born, resident.sex)


@pytest.mark.parametrize("seed", range(3))
def test_document_numbers_are_unique(seed: int) -> None:
    numbers = [resident.document_number for resident in town(seed=seed)]
    assert len(set(numbers)) == len(numbers) == 17_000


def test_telephones_are_valid_belong_to_nobody_and_meet_only_at_home(all_of_them: list[people.Resident]) -> None:
    holders: dict[str, set[int]] = defaultdict(set)
    for resident in all_of_them:
        if resident.phone is None:
            assert age(resident) <= 18
            continue
        assert age(resident) >= 18
        kind = rules.normalise_phone(resident.phone).kind
        assert resident.phone.startswith("154" if kind == "mobile" else "0573-90")
        assert kind == "mobile" or age(resident) >= 60
        holders[resident.phone].add(resident.household)
    assert all(len(homes) == 1 for homes in holders.values())


def test_only_elders_share_a_telephone(households: dict[int, list[people.Resident]]) -> None:
    shared = 0
    for members in households.values():
        for one, other in itertools.combinations([m for m in members if m.phone], 2):
            if one.phone == other.phone:
                shared += 1
                assert age(other) >= 60
    assert shared > 100


def test_ages_are_those_of_a_town(all_of_them: list[people.Resident]) -> None:
    ages = [age(resident) for resident in all_of_them]
    assert 0.20 <= sum(a >= 60 for a in ages) / len(ages) <= 0.24
    assert 0.13 <= sum(a < 18 for a in ages) / len(ages) <= 0.20
    assert 0.02 <= sum(a >= 80 for a in ages) / len(ages) <= 0.06
    assert min(ages) == 0
    assert 90 <= max(ages) <= 105
    assert all(any(low <= a < low + 10 for a in ages) for low in range(0, 90, 10))


def test_kinds_sexes_homes_and_telephones_have_their_shares(all_of_them: list[people.Resident]) -> None:
    share = 1 / len(all_of_them)
    kinds = Counter(resident.document_kind for resident in all_of_them)
    assert 0.94 <= kinds["resident_id"] * share <= 0.98
    assert all(kinds[kind] > 20 for kind in ("hk_mo_tw_residence", "foreigner_2017", "foreigner_2023", "passport"))
    assert 0.47 <= sum(resident.sex == "female" for resident in all_of_them) * share <= 0.53
    homes = Counter(resident.community for resident in all_of_them)
    assert set(homes) == {"330411105003", "330424100001"}
    assert 0.72 <= homes["330411105003"] * share <= 0.78
    elders = [resident for resident in all_of_them if age(resident) >= 60]
    assert 0.1 < sum((resident.phone or "").startswith("0573") for resident in elders) / len(elders) < 0.3
    names = Counter(resident.name for resident in all_of_them)
    assert len(names) > 8_000
    assert any(masking.name(name).endswith("*") and len(masking.name(name)) == 3 for name in names)


def test_every_household_makes_sense(households: dict[int, list[people.Resident]]) -> None:
    relations: Counter[str] = Counter()
    for members in households.values():
        relations.update(member.relation for member in members)
        assert [member.relation for member in members].count("head") == 1
        assert members[0].relation == "head"
        assert age(members[0]) >= 18
        assert len({member.community for member in members}) == 1
        spouses = [member for member in members if member.relation == "spouse"]
        assert all(spouse.sex != members[0].sex and age(spouse) >= 20 for spouse in spouses)
        assert len(spouses) <= 1
        for minor in (member for member in members if age(member) < 18):
            assert minor.relation == "child"
    assert set(relations) == {"head", "spouse", "child", "grandparent"}
    alone = [members[0] for members in households.values() if len(members) == 1]
    assert sum(age(resident) >= 60 for resident in alone) > 300


def test_guardians_are_twenty_to_forty_five_years_older(households: dict[int, list[people.Resident]]) -> None:
    for members in households.values():
        parents = [member for member in members if member.relation in ("head", "spouse")]
        for child in (member for member in members if member.relation == "child"):
            assert all(20 <= years_between(parent.born, child.born) <= 45 for parent in parents)
        for grandparent in (member for member in members if member.relation == "grandparent"):
            assert 20 <= years_between(grandparent.born, members[0].born) <= 45


def test_most_children_carry_a_name_of_their_parents(households: dict[int, list[people.Resident]]) -> None:
    for members in households.values():
        if members[0].document_kind == "resident_id":
            surnames = {masking.name(m.name) for m in members if m.relation in ("head", "spouse")}
            assert all(masking.name(m.name) in surnames for m in members if m.relation == "child")


def test_the_same_seed_is_the_same_town_and_a_shorter_one_its_beginning() -> None:
    assert town(500) == town(500)
    assert town(500)[:300] == town(300)
    assert town(500) != town(500, seed=8)
    assert town(0) == []
    assert [len(town(n)) for n in (1, 2, 3, 4, 5)] == [1, 2, 3, 4, 5]


def test_the_town_does_not_hang_on_the_hash_seed() -> None:
    code = (
        "import hashlib; from datetime import date; from services.demo import people;"
        "town = people.residents(2000, seed=7, communities=[('330411105003', 1)], today=date(2026, 11, 21));"
        "print(hashlib.sha256(repr([(r, r.document_number, r.phone) for r in town]).encode()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1
    assert printed.pop()


def test_the_day_changes_nobody_and_the_year_only_their_ages() -> None:
    assert town(2_000, today=date(2026, 1, 1)) == town(2_000, today=date(2026, 12, 31))
    for now, later in zip(town(5_000), town(5_000, today=date(2029, 3, 1)), strict=True):
        assert later.born.year == now.born.year + 3
        assert replace(now, name="", born=TODAY, document_number="", document_kind="") == replace(
            later, name="", born=TODAY, document_number="", document_kind=""
        )


@pytest.mark.parametrize("homes", [[], [("330411105003", 0)], [("330411105003", 2), ("330411105004", -1)]])
def test_nobody_lives_nowhere(homes: list[tuple[str, float]]) -> None:
    with pytest.raises(ValueError, match="community"):
        people.residents(1, seed=1, communities=homes, today=TODAY)


def test_documents_can_be_made_one_by_one() -> None:
    rng = random.Random(1)
    born = date(1938, 2, 3)
    for kind, prefix in [
        ("resident_id", "330402"), ("hk_mo_tw_residence", "830000"), ("foreigner_2023", "933840"),
        ("foreigner_2017", "USA3304"), ("passport", "E"),
    ]:  # fmt: skip
        for sex in ("female", "male"):
            number = people.make_document(kind, rng, born, sex, prefix)
            document = rules.read_document(rules.DocumentKind(kind), number, today=TODAY)
            assert document.sex in (sex, None)
    with pytest.raises(ValueError, match="none"):
        people.make_document("none", rng, born, "male", "")


def test_a_community_costs_as_much_as_its_residents() -> None:
    """Eight times the people, eight times the work, with room for a noisy machine; not its square."""
    few, many = (
        min(timeit.repeat(lambda n=n: town(n), timer=time.process_time, number=1, repeat=3)) for n in (500, 4_000)
    )
    assert many < 24 * few
