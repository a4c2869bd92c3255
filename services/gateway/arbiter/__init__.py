"""Decides every claim: many asks in one transaction, all or none for each, first come first served.

`rules` decides and is pure; `looked` locks and reads the facts, with `sql`; `permission` says whose roles reach; `line`
puts them behind a queue; `waiting` serves those who wait. `asked` is what goes in and comes out. What it may know is in the
ledger's tables and nowhere else: no dish, no diet, no signature.
"""
