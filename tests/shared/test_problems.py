"""What callers hear of a body that cannot be: where, which rule, and nothing of what they sent."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from services.childcare.schemas.children import CollectorIn
from services.elder_meals.schemas.elders import StandingIn
from services.elder_meals.schemas.orders import OrderIn
from services.events.schemas import RegistrationIn
from shared import problems

SLOT = "01a20232-5d02-7907-b4af-d8a3b68ab590"


def heard(model: type[BaseModel], body: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as told:
        model.model_validate(body)
    found = told.value.errors(include_url=False, include_input=False, include_context=False)
    return [(one["pointer"], one["code"]) for one in problems.of_validation(found).extra["errors"]]


@pytest.mark.parametrize(
    ("model", "body", "code"),
    [
        (CollectorIn, {"kind": "once", "name": "王阿姨"}, "a_code_needs_its_until"),
        (OrderIn, {"lines": [{"dish_id": SLOT}]}, "name_one_of_slot_id_slot_ids"),
        (RegistrationIn, {"slot_id": SLOT, "series_id": SLOT}, "name_one_of_slot_id_slot_ids_series_id"),
        (
            StandingIn,
            {"kitchen_id": SLOT, "window": "午餐", "weekdays": [1], "starts_on": "2026-12-02", "until": "2026-12-01"},
            "until_comes_after_starts_on",
        ),
    ],
)
def test_a_broken_rule_is_named(model: type[BaseModel], body: dict[str, Any], code: str) -> None:
    assert heard(model, body) == [("/", code)]


@pytest.mark.parametrize("sent", ["secret words'", "Secret", "13800000000", "密", "a b " * 20])
def test_what_was_sent_is_not_told_back_as_a_code(sent: str) -> None:
    class Careless(BaseModel):
        what: str

        @field_validator("what")
        @classmethod
        def _is_never_right(cls, told: str) -> str:
            raise ValueError("Not this: " + told if told.islower() and told.isalpha() else told)

    assert heard(Careless, {"what": sent}) == [("/what", "value_error")]
