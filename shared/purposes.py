"""What a resident may be asked to consent to: the one list, with the words they read and the version of those words.

A consent is to a purpose in one version. When the words change their meaning the version grows, and who agreed to the
older ones is asked again. Nobody is asked for more than the service in front of them needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.texts import say

GUARDIAN_UNDER: Final = 14
"""Below this age a guardian consents: everything about a younger child is sensitive by law."""
OWN_WORD: Final = timedelta(days=30)
"""How long after that birthday a guardian's word still counts, while the child is asked for its own."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose: what is kept and what for, and which services ask for it.

    Without a required one nobody takes part in its services; the others are asked for where they are needed.
    """

    code: str
    title: str
    text: str
    version: int
    services: tuple[str, ...]
    is_sensitive: bool
    is_required: bool = False
    guardian_under: int = GUARDIAN_UNDER


PURPOSES: Final = {
    one.code: one
    for one in (
        Purpose(
            "childcare",
            say("Care of a child in the children's room", "儿童之家照护"),
            say(
                "The children's room keeps who brings and collects the child, when, and what the carers must know. Only "
                "carers on duty and the staff of the room see it.",
                "儿童之家将记录儿童的接送人、出入时间及照护须知，仅值班照护人员和本场所工作人员可见。",
            ),
            1,
            ("childcare",),
            is_sensitive=True,
            is_required=True,
        ),
        Purpose(
            "health",
            say("Diet, allergies and health notes", "饮食、过敏与健康信息"),
            say(
                "Allergies, diet and health notes are kept encrypted, and shown only to those who cook for the person or "
                "care for them.",
                "过敏、饮食及健康须知加密保存，仅供为其配餐或照护的人员查看。",
            ),
            1,
            ("elder-meals", "childcare"),
            is_sensitive=True,
        ),
        Purpose(
            "elder-meals",
            say("Meals for elders, brought to the door", "老年助餐与送餐上门"),
            say(
                "The kitchen and the courier are told the address, the phone and the neighbour one has named; when nobody "
                "opens, the staff look after the person.",
                "厨房与送餐员将获知送餐地址、电话及指定邻居；如无人应门，工作人员会上门探访。",
            ),
            1,
            ("elder-meals",),
            is_sensitive=True,
        ),
        Purpose(
            "entry-readings",
            say("Readings at the entrance", "入场检测信息"),
            say(
                "Where a facility asks for them, temperature and health code at the entrance are kept with the visit.",
                "场所要求时，入场体温与健康码状态将随到场记录保存。",
            ),
            1,
            ("booking",),
            is_sensitive=True,
        ),
        Purpose(
            "leaderboard",
            say("Appear on a leaderboard", "参与运动排行榜"),
            say(
                "Steps and energy are counted, and shown on the facility's screen under a nickname.",
                "统计步数与消耗，并以昵称显示在场所屏幕上。",
            ),
            1,
            ("booking",),
            is_sensitive=False,
        ),
    )
}
"""By code. `Service.purposes` names those that everybody who claims there must have consented to; the others are asked
for where they are needed, and refusing them closes nothing else."""
