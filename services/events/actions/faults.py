"""What a caller hears of faults in a body."""

from __future__ import annotations

from collections.abc import Iterable

from services.events.rules import Fault
from shared import errors
from shared.texts import say


def named(faults: Iterable[Fault]) -> list[dict[str, str]]:
    """Where each of them is."""
    return [{"in": "body", "pointer": one.pointer, "code": one.code} for one in faults]


def refusal(faults: Iterable[Fault]) -> errors.Refusal | None:
    """What is fixed since the publication is a conflict, all else is unprocessable; None when there is no fault."""
    found = list(faults)[:50]
    if not found:
        return None
    if any(one.code == "fixed" for one in found):
        return errors.Conflict(
            say(
                "What was published stays: cancel it and announce another.", "已发布的内容不能更改，请取消后另行发布。"
            ),
            errors=named(found),
        )
    return errors.Unprocessable(errors=named(found))


def refuse(faults: Iterable[Fault]) -> None:
    """Refuse what is wrong in the body, if anything is."""
    if refused := refusal(faults):
        raise refused
