"""What a year's report says."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.texts import say
from shared.web import Out


class TallyOut(Out):
    """How often something happened."""

    group: Literal["looks", "asked", "consents", "incidents"] = Field(
        description=say(
            "`looks` of the staff at what is known of a child; `asked` for leave to look; `consents` of guardians for "
            "children under 14; `incidents` in children's rooms.",
            "`looks` 工作人员查看未成年人信息；`asked` 申请查看；`consents` 监护人代未满 14 周岁者作出的同意与撤回；`incidents` 儿童之家事件。",
        )
    )
    role: str | None = Field(description=say("The office of whoever did it.", "查看人当时的岗位。"))
    purpose: str = Field(
        description=say("The deed, the purpose of a consent, or the kind.", "操作、授权用途或事件类别。")
    )
    outcome: str = Field(
        description=say(
            "`approved`, `not_asked` (needs nobody's word), `refused`, `unanswered`; `given`, `withdrawn`; how serious it was.",
            "`approved` 经批准，`not_asked` 无须批准，`refused` 未获准，`unanswered` 未答复；`given` 同意，`withdrawn` 撤回；事件的严重程度。",
        )
    )
    count: int
    minors: int | None = Field(description=say("How many children.", "涉及未成年人数。"))


class MinorsOut(Out):
    """A year's report about what was done with what is known of children: numbers, and nobody's name."""

    year: int
    regions: list[str]
    items: list[TallyOut]
