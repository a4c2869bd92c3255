"""Who looked at a child's record before there was a ledger for it stands in the ledger, too."""

from __future__ import annotations

from alembic.script import ScriptDirectory

from shared import migrate
from tests.town import Town


def test_old_looks_at_a_childs_record_come_into_the_ledger(database_url: str) -> None:
    scripts = ScriptDirectory.from_config(migrate.config())
    ours = next(one for one in scripts.walk_revisions() if "what_may_be_known" in one.path)
    migrate.downgrade(database_url, str(ours.down_revision))
    town = Town(database_url)
    child, carer = town.residents(2)
    visit = town.one(
        "INSERT INTO visits (id, group_id, place_id, community, account_no, stays, starts_at) "
        "VALUES (uuidv7(), uuidv7(), %s, '330411105003', %s, false, now()) RETURNING id",
        *(town.place_id, carer.account_no),
    )
    town.do(
        "INSERT INTO record_reads (child_no, community, place_id, visit_id, account_no, what, read_at) "
        "VALUES (%s, '330411105003', %s, %s, %s, 'record', '2026-01-02T03:04:05Z')",
        *(child.holder_no, town.place_id, visit, carer.account_no),
    )
    migrate.upgrade(database_url)
    ((action, person, by, at, data),) = town.all("SELECT action, person_id, account_no, at, data FROM audit")
    assert (action, person, by) == ("child.read", child.person_id, carer.account_no)
    assert at.isoformat()[:4] == "2026"
    assert data == {
        "service": "childcare",
        "fields": ["record"],
        "place_id": str(town.place_id),
        "visit_id": str(visit),
    }
