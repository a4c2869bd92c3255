"""What the words in lists mean, in both languages."""

from __future__ import annotations

from typing import Final

from shared.texts import say

_DIETS: Final = {
    "low_salt": say("little salt", "少盐"),
    "low_sugar": say("little sugar", "少糖"),
    "low_oil": say("little oil", "少油"),
    "low_purine": say("little purine, for gout", "低嘌呤"),
    "diabetic": say("for diabetics", "糖尿病餐"),
    "halal": say("halal", "清真"),
    "vegetarian": say("no meat, no fish", "素食"),
    "no_pork": say("no pork", "不含猪肉"),
}
_OUTCOMES: Final = {
    "delivered": say("handed to the elder", "已交给长者"),
    "to_neighbour": say("handed to the neighbour whom the elder named", "已交给长者指定的邻居"),
    "refused": say("the elder did not want it", "长者拒收"),
    "unanswered": say("nobody opened", "无人应门"),
}
_DOINGS: Final = {
    "called": say("called by phone", "电话联系"),
    "contact_reached": say("a contact was reached", "联系到家属"),
    "knocked": say("knocked again", "再次敲门"),
    "neighbour": say("asked a neighbour", "询问邻居"),
    "on_site": say("somebody went there", "上门查看"),
    "emergency_staff_decision": say("staff decided about an emergency call", "工作人员决定报警或急救"),
}

_EVIDENCE: Final = {
    "birth_certificate": say("a birth certificate", "出生医学证明"),
    "household_register": say("the household register", "户口簿"),
    "court": say("a judgment", "法院文书"),
    "seen": say("staff have seen it themselves", "工作人员当面见证"),
}

MEANINGS: Final[dict[str, dict[str, str]]] = {
    "allergens": {
        "gluten": say("cereals with gluten", "含麸质谷物"),
        "crustacean": say("shrimps and crabs", "甲壳类"),
        "egg": say("egg", "蛋类"),
        "fish": say("fish", "鱼类"),
        "peanut": say("peanut", "花生"),
        "soy": say("soy", "大豆"),
        "milk": say("milk", "乳"),
        "nut": say("nuts", "坚果"),
        "celery": say("celery", "芹菜"),
        "mustard": say("mustard", "芥末"),
        "sesame": say("sesame", "芝麻"),
        "sulphite": say("sulphites", "亚硫酸盐"),
        "lupin": say("lupin", "羽扇豆"),
        "shellfish": say("clams, mussels, squid", "贝类及软体动物"),
    },
    "allocation": {
        "first_come": say("whoever asks first", "先到先得"),
        "ballot": say("drawn by lot after entries close", "报名截止后抽签"),
    },
    "channel": {
        "app": say("by themselves", "本人操作"),
        "desk": say("at the desk", "窗口"),
        "phone": say("by phone", "电话"),
        "paper": say("on paper", "纸质"),
    },
    "days": {
        "work": say("working days", "工作日"),
        "rest": say("days of rest", "休息日"),
    },
    "diet": _DIETS,
    "diets": _DIETS,
    "direction": {
        "in": say("brought", "送入"),
        "out": say("collected", "接走"),
    },
    "DocumentKind": {
        "resident_id": say("resident identity card", "居民身份证"),
        "hk_mo_tw_residence": say("residence permit for Hong Kong, Macau and Taiwan residents", "港澳台居民居住证"),
        "foreigner_2017": say("foreigner's permanent residence card of 2017", "外国人永久居留身份证（2017 版）"),
        "foreigner_2023": say("foreigner's permanent residence card since 2023", "外国人永久居留身份证（2023 版）"),
        "passport": say("passport", "护照"),
        "travel_permit": say("mainland travel permit", "港澳居民来往内地通行证或台湾居民来往大陆通行证"),
        "none": say("none; staff vouch for the person", "无证件，由工作人员确认"),
    },
    "evidence": _EVIDENCE,
    "format": {
        "json": say("for programs", "供程序读取"),
        "csv": say("a sheet", "表格"),
        "html": say("a page to print", "可打印页面"),
    },
    "given_by": {
        "self": say("the person", "本人"),
        "guardian": say("their guardian", "监护人"),
        "proxy": say("somebody they asked to", "受委托人"),
    },
    "how": {
        "at_the_desk": say("seen at the desk", "窗口当面核验"),
        "at_home": say("seen at home", "上门核验"),
        "by_authority": say("an authority said so", "权威机构核验"),
    },
    "if_full": {
        "refuse": say("be refused", "直接拒绝"),
        "wait": say("go on the waiting list", "进入候补"),
    },
    "kind": {
        "work": say("a working day", "工作日"),
        "rest": say("a day of rest", "休息日"),
        "closed": say("everything is closed", "全部停用"),
        "event": say("a single event", "单次活动"),
        "series": say("a series of sessions, such as a course", "系列课程"),
        "text": say("words", "文字"),
        "number": say("a number", "数字"),
        "bool": say("yes or no", "是或否"),
        "choice": say("one of its options", "选项之一"),
        "person": say("somebody's own account", "个人账号"),
        "device": say("a machine at a place", "场所设备"),
        "partner": say("another system", "合作系统"),
        **_DOINGS,
        **_EVIDENCE,
        "allowed": say("may collect the child", "可接领儿童"),
        "once": say("may collect the child once, with a code", "凭接送码可接领一次"),
        "never": say("may never collect the child", "任何情况下不得接领"),
        "resident": say("lives there", "居住"),
        "registered_elsewhere": say("lives there, registered elsewhere", "人户分离"),
        "works_here": say("works there", "工作"),
        "emigrant": say("from there, lives abroad", "侨居外地"),
        "visitor": say("stays for a while", "访客"),
        "business": say("runs a business there", "经营"),
        "export": say("a copy of all that is known", "个人信息副本"),
        "correction": say("something is wrong", "更正"),
        "closure": say("an end of the account, and of what is known", "注销"),
    },
    "level": {
        "declared": say("they said so", "本人申报"),
        "checked": say("a document was looked at", "已核对证件"),
        "confirmed": say("staff confirmed it in person", "工作人员当面确认"),
    },
    "outcome": {
        **_OUTCOMES,
        "safe_home": say("safe, at home", "安全，在家"),
        "safe_out": say("safe, was out", "安全，外出"),
        "safe_asleep": say("safe, was asleep", "安全，睡着了"),
        "hospital": say("in hospital", "住院"),
        "emergency": say("an emergency, help came", "紧急情况，已救助"),
        "deceased": say("found dead", "已去世"),
        "false_alarm": say("nothing had happened", "误报"),
        "unfounded": say("the number is not theirs", "号码不属于提交者"),
        "corrected": say("what was wrong was corrected", "已更正"),
        "same_person": say("the two are one person", "实为同一人"),
    },
    "person": {
        "self": say("the caller", "本人"),
    },
    "progress": {
        "inside": say("a child is inside", "儿童在室"),
        "left": say("every child who came has left", "儿童均已离开"),
    },
    "provider": {
        "phone": say("a code sent to a phone", "短信验证码"),
        "wechat": say("WeChat", "微信"),
        "alipay": say("Alipay", "支付宝"),
        "zheliban": say("the province's app, which confirms names", "浙里办，已核验实名"),
        "oidc": say("the staff's OpenID provider", "工作人员统一登录"),
    },
    "reason": {
        "moved_on": say("does something else now", "已调岗或离职"),
        "mistake": say("was never meant", "误授"),
        "misuse": say("was misused", "滥用"),
        "reorganised": say("the work was shared out anew", "职责调整"),
    },
    "relation": {
        "child": say("the caller's child", "子女"),
        "guardian": say("as their guardian", "监护人"),
        "proxy": say("as somebody they asked to", "受委托人"),
    },
    "role": {
        "staff": say("sits at the desk", "窗口工作人员"),
        "manager": say("runs the places of the region", "负责人"),
        "operator": say("runs the places day by day", "运营人员"),
        "kitchen": say("cooks", "厨房"),
        "courier": say("brings meals", "送餐员"),
        "carer": say("looks after children", "照护人员"),
        "volunteer": say("helps", "志愿者"),
        "gate": say("a device at a door", "闸机等设备"),
        "administrator": say("grants working roles", "系统管理员"),
        "security": say("grants security and audit", "安全管理员"),
        "auditor": say("reads what was done", "审计员"),
    },
    "severity": {
        "minor": say("dealt with on the spot", "轻微，已当场处理"),
        "moderate": say("guardians should know", "一般，应告知监护人"),
        "serious": say("somebody must look into it", "严重，须调查处理"),
    },
    "sex": {
        "male": say("male", "男"),
        "female": say("female", "女"),
    },
    "state": {
        "active": say("holds in its time", "在有效期内有效"),
        "used": say("a code that was used", "接送码已使用"),
        "removed": say("taken back", "已撤销"),
        "open": say("can be claimed", "可预约"),
        "closed": say("no longer claimed", "已截止"),
        "cancelled": say("will not take place", "已取消"),
        "held": say("kept for seconds while it is confirmed", "确认中，保留数十秒"),
        "confirmed": say("yours", "已确认"),
        "waiting": say("on the waiting list", "候补中"),
        "released": say("given back", "已释放"),
        "lapsed": say("not confirmed in time", "确认超时"),
        "lost": say("waited, and no place came", "候补落空"),
        "attended": say("came", "已到场"),
        "no_show": say("did not come", "未到场"),
        "draft": say("seen by staff only", "草稿，仅工作人员可见"),
        "published": say("announced", "已发布"),
        "changed": say("announced, and changed since", "发布后有更改"),
        "planned": say("takes place", "如期举行"),
        "pending": say("waits for a yes, or for the staff", "待确认或待处理"),
        "given": say("consented, to today's words", "已同意当前内容"),
        "outdated": say("consented to older words; asked again", "同意的是旧版内容，须重新确认"),
        "withdrawn": say("taken back", "已撤回"),
        "never": say("not asked yet", "尚未表示"),
        "settled": say("decided", "已办结"),
        "current": say("in force, or to begin", "有效"),
        "over": say("expired or taken back", "已结束"),
        "asked": say("waits for an answer", "待处理"),
        "allowed": say("may be seen for some minutes", "已批准，限时可见"),
        "denied": say("refused, with a reason", "不予批准"),
        "done": say("done", "已办结"),
    },
    "stays": {
        "either": say("guardians stay or go", "监护人可陪同可离开"),
        "stay": say("a guardian stays", "监护人须全程陪同"),
        "drop_off": say("children stay by themselves", "儿童单独在园"),
    },
    "step": _DOINGS,
    "texture": {
        "normal": say("as everybody eats it", "普通"),
        "soft": say("soft", "软食"),
        "minced": say("minced", "碎食"),
        "liquid": say("liquid", "流质"),
    },
    "token_type": {
        "Bearer": say("sent as `Authorization: Bearer …`", "以 `Authorization: Bearer …` 提交"),
    },
    "what": {
        "record": say("what carers need to know", "照护须知"),
        "collectors": say("who may collect the child", "接领名单"),
    },
    "when": {
        "upcoming": say("not over yet", "未结束"),
        "past": say("over", "已结束"),
    },
}
"""Field, word, meaning. A list of words in any schema needs its meanings here (or in its own description)."""


def meaning(field: str, word: str) -> str:
    """What a word means in a field of this name; empty when nobody has written it."""
    return MEANINGS.get(field, {}).get(word, "")
