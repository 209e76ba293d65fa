"""The ledger of private data sets: what each may cost, what it has cost, and who spent it. Only here is SQL.

A charge is acknowledged when it is committed in the database and its witness lies in the object store. What was
acknowledged is never lost, spent twice or given back, whatever process dies and whichever old copy of the database is
restored: docs/privacy.md has the protocol and its proof.

    database.py     how SQLite and PostgreSQL are opened, and their transactions
    schema.py       the tables; their constraints and triggers make overspending impossible for code that is wrong, too
    entries.py      one entry of the chain, its canonical line and its hash
    rows.py         rows of the tables as what they mean
    witnesses.py    the copy of every entry in the object store, which a restored database cannot contradict
    ledger.py       protect, charge, account, entries
    audit.py        verify, export, reconcile; `python -m store.ledger` for operators
"""

from store.ledger.database import Database
from store.ledger.entries import Account, Entry, Terms
from store.ledger.ledger import Charge, Ledger

__all__ = ["Account", "Charge", "Database", "Entry", "Ledger", "Terms"]
