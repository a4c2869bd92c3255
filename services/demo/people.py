"""A made-up population: households as they live in the towns of northern Zhejiang, the same ones for the same seed.

Every number is formally valid, so that the town exercises the real checks, and harms nobody as far as that can be had:

- Mobile numbers begin with 154, which is given to no operator (published number plans as of 2022), so no message sent
  by mistake arrives. A range such as 1990000xxxx would be somebody's: 199 belongs to China Telecom.
- Landlines are 0573-90xxxxxx; local numbers beginning with 9 are kept for services and given to no household.
- Document numbers carry real counties and birthdays and a right check digit, so one may by chance be a living
  person's. The name beside it is drawn apart from it; all the same, never mix a demo town into a real one.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Resident:
    """One made-up person.

    `sex` is "male" or "female". `document_kind` is one of identity's kinds. `phone` is as it would be typed, or None;
    two of a household may share one, and whose it is comes first. Members of a household follow one another, its head
    first. `relation` is to the head: head, spouse, child (of any age), or grandparent (a parent of the head, living
    with the children). Who is under 18 is always a child, and the head and the spouse are the guardians.
    """

    name: str
    sex: str
    born: date
    document_kind: str
    document_number: str = field(repr=False)
    phone: str | None = field(repr=False)
    household: int
    relation: str
    community: str


@dataclass(frozen=True, slots=True)
class _Member:
    relation: str
    sex: str
    age: int  # at the last turn of the year


class _Weighted:
    """A choice among weighted texts, in one step of the generator."""

    def __init__(self, choices: Sequence[tuple[str, float]]) -> None:
        self._choices = [choice for choice, _ in choices]
        self._upto = list(accumulate(weight for _, weight in choices))

    def draw(self, rng: random.Random) -> str:
        return self._choices[min(bisect(self._upto, rng.random() * self._upto[-1]), len(self._choices) - 1)]


# `Random.choice` and `randrange` draw again when the bits do not fit, so what they take depends on how many there are
# to choose from; one draw more for one year of birth than for another would make another town every January.
def _pick(rng: random.Random, choices: Sequence[str]) -> str:
    return choices[int(rng.random() * len(choices))]


def _between(rng: random.Random, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return low + int(rng.random() * (high - low + 1))


# Shares of 1,000 bearers, roughly as in Zhejiang.
_SURNAME = _Weighted(
    [
        *zip("陈王张沈徐朱李吴周陆钱姚金杨俞顾胡许孙潘", range(75, 15, -3), strict=True),
        *((name, 12) for name in "刘黄赵蒋马何高郑章蔡冯曹叶范董施方倪费戴屠褚邵汤夏严郭林罗唐"),
        *((name, 5) for name in "丁于毛卢卜计贾盛祝凌柴干富濮步查仇曾单解江宋韩谢邓彭汪任程吕"),
        *((name, 2) for name in ("欧阳", "上官", "司徒", "诸葛", "皇甫")),
    ]
)

# Given names by the years in which they were given: born before, then first and second characters.
_GIVEN = [
    (
        1950,
        {
            "female": ("阿金桂秀凤巧雪玉彩菊", "珍英宝娣仙珠妹花娥林"),
            "male": ("阿金水福林根进顺永寿", "根泉生林宝法荣兴祥官"),
        },
    ),
    (
        1966,
        {
            "female": ("秀玉桂建美惠菊月国爱", "英珍芳琴兰华仙珠凤萍"),
            "male": ("建国志永金明卫忠根福", "国华明林荣兴良强民法"),
        },
    ),
    (
        1982,
        {
            "female": ("丽海晓雪建红美春小秋", "萍芳燕红英娟琴丽华敏"),
            "male": ("建志晓海卫国伟永红雪", "峰明军华良斌平锋林荣"),
        },
    ),
    (
        1998,
        {
            "female": ("佳晓婷雨思梦嘉丹静怡", "婷燕倩莹怡琳瑶雯洁妮"),
            "male": ("佳晓浩俊志嘉宇伟鑫凯", "杰峰斌超磊涛辉翔楠凡"),
        },
    ),
    (
        9999,
        {
            "female": ("梓子欣雨诗一语若沐可", "涵萱怡琪诺彤妍汐瑶馨"),
            "male": ("子浩宇梓俊沐奕一景昊", "轩然辰泽宸睿航霖阳宁"),
        },
    ),
]


@dataclass(frozen=True, slots=True)
class _Country:
    letters: str
    digits: str
    surnames: tuple[str, ...]
    female: tuple[str, ...]
    male: tuple[str, ...]


_COUNTRIES = [
    _Country("USA", "840", ("Miller", "Carter", "Nguyen"), ("Emily", "Grace", "Hannah"), ("James", "Daniel", "Ryan")),
    _Country("DEU", "276", ("Keller", "Brandt", "Vogel"), ("Anna", "Lena", "Mia"), ("Jonas", "Felix", "Lukas")),
    _Country("FRA", "250", ("Laurent", "Moreau", "Girard"), ("Camille", "Alice", "Louise"), ("Hugo", "Louis", "Paul")),
    _Country("JPN", "392", ("Sato", "Tanaka", "Mori"), ("Yui", "Hana", "Aoi"), ("Haruto", "Ken", "Sota")),
    _Country("KOR", "410", ("Kim", "Park", "Choi"), ("Jiwoo", "Minji", "Sora"), ("Minjun", "Jiho", "Doyun")),
]

# Migrants of the delta, by the counties that send most.
_FAR_COUNTIES = ("341225", "341226", "341621", "361128", "411625", "411729", "421127", "511623", "530627", "320922")
_NEAR_COUNTIES = ("330402", "330411", "330421", "330424", "330481", "330482", "330483")
_ACROSS_THE_STRAIT = _Weighted([("810000", 35), ("820000", 5), ("830000", 60)])

_ORIGIN = _Weighted([("home", 780), ("far", 185), ("hk_mo_tw", 14), ("abroad", 21)])
_KIND_OF_FOREIGNER = _Weighted([("foreigner_2017", 2), ("foreigner_2023", 3), ("passport", 5)])
_SHAPE = _Weighted(
    [
        ("elder", 13),
        ("elder couple", 19),
        ("single", 17),
        ("couple", 12),
        ("family", 17),
        ("one parent", 3),
        ("three generations", 8),
        ("grown child", 15),
    ]
)
_OLD_SHAPES = ("elder", "elder couple", "three generations", "grown child")


def residents(n: int, *, seed: int | str, communities: Sequence[tuple[str, float]], today: date) -> Iterator[Resident]:
    """`n` people, household after household; `communities` are (12-digit code, weight).

    The same arguments give the same people on every machine. Of `today` only the year counts: everybody was born in
    an earlier one, and another year shifts the years of birth (and what follows from them: document numbers, fashions
    in names) but leaves households, relations, homes and telephones as they are. ValueError when there is no
    community to live in.
    """
    if not communities or any(weight < 0 for _, weight in communities) or not any(weight for _, weight in communities):
        raise ValueError("residents need a community with a weight above zero")
    return _residents(n, str(seed), _Weighted(communities), today.year)


def make_document(kind: str, rng: random.Random, born: date, sex: str, prefix: str) -> str:
    """A number that identity accepts for a `kind` of document.

    `prefix` is what stands before the birthday: six digits for the eighteen-digit kinds (a county, 810000, 9 +
    province + country), three letters and four digits for foreigner_2017, one letter for a passport. ValueError for
    another kind.
    """
    match kind:
        case "resident_id" | "hk_mo_tw_residence" | "foreigner_2023":
            sequence = 2 * _between(rng, 0, 499) + (sex == "male")
            first17 = f"{prefix}{born:%Y%m%d}{sequence:03d}"
            return first17 + _check_digit(first17)
        case "foreigner_2017":
            return f"{prefix}{born:%y%m%d}{_between(rng, 0, 99):02d}"
        case "passport":
            return f"{prefix}{_between(rng, 10_000_000, 99_999_999)}"
    raise ValueError(f"no numbers are made for {kind}")


def _check_digit(first17: str) -> str:
    # ISO 7064 MOD 11-2 by its recurrence. Identity sums weights; services do not import each other, and that the two
    # agree is worth more than a shared line.
    rest = 0
    for digit in first17:
        rest = (rest + int(digit)) * 2 % 11
    return "0123456789X"[(12 - rest) % 11]


def _residents(n: int, seed: str, homes: _Weighted, year: int) -> Iterator[Resident]:
    # Separate streams, so that one more draw for a name or a number moves nobody to another house. Strings are seeded
    # through SHA-512, not through hash().
    shape, names, papers, phones = (
        random.Random(f"{seed}:{stream}") for stream in ("shape", "names", "papers", "phones")
    )
    taken: set[str] = set()
    first_number = _between(phones, 0, 99_999_999)
    count = household = 0
    while count < n:
        community = homes.draw(shape)
        origin = _ORIGIN.draw(shape)
        members = _household(shape, origin)
        born = [_birthday(shape, year - 1 - member.age) for member in members]
        called = _names(names, origin, members, born)
        numbers = _documents(papers, origin, community, members, born, taken)
        reached = _phones(phones, members, first_number + count)
        for member, birthday, name, (kind, number), phone in zip(members, born, called, numbers, reached, strict=True):
            if count == n:  # heads come first, so a household cut short leaves no child alone
                return
            yield Resident(name, member.sex, birthday, kind, number, phone, household, member.relation, community)
            count += 1
        household += 1


def _birthday(rng: random.Random, year: int) -> date:
    first = date(year, 1, 1)
    return first + timedelta(days=int(rng.random() * (date(year + 1, 1, 1) - first).days))


def _household(rng: random.Random, origin: str) -> list[_Member]:
    shape = _SHAPE.draw(rng)
    while origin != "home" and shape in _OLD_SHAPES:  # who comes from elsewhere came to work
        shape = _SHAPE.draw(rng)
    if shape == "elder":
        return [_Member("head", "female" if rng.random() < 0.64 else "male", _old_age(rng))]
    if shape == "elder couple":
        return _couple(rng, _old_age(rng), 60, 96)
    if shape == "single":
        return [_Member("head", "male" if rng.random() < 0.55 else "female", _between(rng, 19, 59))]
    if shape == "couple":
        return _couple(rng, _between(rng, 23, 58), 22, 59)
    if shape == "grown child":
        parents = _couple(rng, _between(rng, 45, 62), 42, 66)
        return [*parents, _child(rng, parents, 18, 33)]
    parents = _couple(rng, _between(rng, 25, 50), 22, 54)
    if shape == "one parent":
        parents = [_Member("head", "female" if rng.random() < 0.75 else "male", parents[0].age)]
    many = rng.random()
    children = [_child(rng, parents, 0, 17) for _ in range(1 if many < 0.66 else 2 if many < 0.96 else 3)]
    elders = []
    if shape == "three generations":
        mother = parents[0].age + _between(rng, 22, 34)
        alone = rng.random()
        if alone < 0.85:
            elders.append(_Member("grandparent", "female", mother))
        if alone > 0.4:
            elders.append(_Member("grandparent", "male", mother + _between(rng, -1, 4)))
    return [*parents, *children, *elders]


def _old_age(rng: random.Random) -> int:
    return 60 + int(36 * min(rng.random(), rng.random()))


def _couple(rng: random.Random, age: int, low: int, high: int) -> list[_Member]:
    man_heads = rng.random() < 0.75
    older = _between(rng, -2, 5)  # by how much the man is
    spouse = min(max(age - older if man_heads else age + older, low), high)
    sexes = ("male", "female") if man_heads else ("female", "male")
    return [_Member("head", sexes[0], age), _Member("spouse", sexes[1], spouse)]


def _child(rng: random.Random, parents: Sequence[_Member], low: int, high: int) -> _Member:
    # 21 to 44 between the years of birth is 20 to 45 between the birthdays.
    ages = [parent.age for parent in parents]
    low, high = max(low, max(ages) - 44), min(high, min(ages) - 21)
    sex = "male" if rng.random() < 0.52 else "female"
    return _Member("child", sex, _between(rng, min(low, high), high))


def _names(rng: random.Random, origin: str, members: Sequence[_Member], born: Sequence[date]) -> list[str]:
    if origin == "abroad":
        country = _country(members)
        family = _pick(rng, country.surnames)
        return [f"{_pick(rng, country.male if m.sex == 'male' else country.female)} {family}" for m in members]
    # A child carries its father's surname, now and then its mother's; the head's father carries the head's.
    own = [_SURNAME.draw(rng) for _ in members]
    married = len(members) > 1 and members[1].relation == "spouse"
    father = 1 if married and members[0].sex == "female" else 0
    mothers = rng.random() < 0.06
    family = own[1 - father] if married and mothers else own[father]
    called = []
    for member, birthday, drawn in zip(members, born, own, strict=True):
        surname = family if member.relation == "child" else drawn
        if member.relation == "grandparent" and member.sex == "male":
            surname = own[0]
        called.append(surname + _given(rng, member.sex, birthday.year))
    return called


def _given(rng: random.Random, sex: str, year: int) -> str:
    first, second = next(given[sex] for before, given in _GIVEN if year < before)
    one, two, short = _pick(rng, first), _pick(rng, second), rng.random()
    return two if one == two or (short < 0.12 and 1966 <= year < 2010) else one + two


def _country(members: Sequence[_Member]) -> _Country:
    return _COUNTRIES[members[0].age % len(_COUNTRIES)]


def _documents(
    rng: random.Random, origin: str, community: str, members: Sequence[_Member], born: Sequence[date], taken: set[str]
) -> list[tuple[str, str]]:
    far, across = _pick(rng, _FAR_COUNTIES), _ACROSS_THE_STRAIT.draw(rng)
    foreign = _KIND_OF_FOREIGNER.draw(rng)
    papers = []
    for member, birthday in zip(members, born, strict=True):
        near = community[:6] if rng.random() < 0.85 or member.relation == "child" else _pick(rng, _NEAR_COUNTIES)
        kind, prefix = "resident_id", near
        if origin == "far":
            # Of the migrants' children, some were registered where they live now.
            prefix = near if member.relation == "child" and rng.random() < 0.3 else far
        elif origin == "hk_mo_tw":
            kind, prefix = "hk_mo_tw_residence", across
        elif origin == "abroad":
            country = _country(members)
            kind = foreign
            prefix = {
                "foreigner_2017": f"{country.letters}{community[:4]}",
                "foreigner_2023": f"9{community[:2]}{country.digits}",
            }.get(kind, country.letters[0])
        number = make_document(kind, rng, birthday, member.sex, prefix)
        while number in taken:
            number = make_document(kind, rng, birthday, member.sex, prefix)
        taken.add(number)
        papers.append((kind, number))
    return papers


def _phones(rng: random.Random, members: Sequence[_Member], first: int) -> list[str | None]:
    """`first` is the ordinal of the household's first member; numbers do not repeat within a million people."""
    # 61,803,399 has no factor in common with a power of ten: the numbers look drawn and never meet.
    landline = f"0573-90{first * 61_803_399 % 1_000_000:06d}"
    reached: list[str | None] = []
    for ordinal, member in enumerate(members, first):
        how = rng.random()
        if member.age < 18:
            phone = None
        elif member.age >= 60 and member.relation == "spouse" and reached[0] and how < 0.3:
            phone = reached[0]
        elif member.age >= 60 and how > 0.82:
            phone = landline
        else:
            phone = f"154{ordinal * 61_803_399 % 100_000_000:08d}"
        reached.append(phone)
    return reached
