"""Every entry of the ledger once more, in the object store, put only where none is.

witness/<tenant>/<name>/<seq>      the line of the entry

They are written one after another: entry n + 1 is committed only when the witness of entry n is there. So a database
whose last entry is n may be used only if witness n is that entry and there is no witness n + 1: two looks, however long
the chain is. This is why every entry has a witness, and not each k-th. Where witness n is missing, a third look must
find witness n - 1: without it the object store was set back, and what else it has lost nobody knows.
"""

from __future__ import annotations

from mercer.errors import AccountFrozen
from store.ledger.entries import Entry
from store.objects import Objects

PREFIX = "witness/"


class Witnesses:
    """The witnesses in an object store."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def put(self, entry: Entry) -> None:
        """Make an entry's witness, if it has none; afterwards the entry is acknowledged for ever.

        Raises:
            AccountFrozen: another entry of this number is witnessed.
            Unavailable: it cannot be stored.
        """
        with self._objects.writer(_path(entry.tenant, entry.name, entry.seq)) as writer:
            writer.write(entry.line())
            won = writer.commit()
        if not won:
            self._compare(entry)

    def confirm(self, head: Entry) -> None:
        """See that the chain which ends with this entry is the witnessed one, and that its end is witnessed.

        Raises:
            AccountFrozen: a longer or another chain is witnessed, so this is an old copy of the database; or the entry
                before it has no witness either, so the object store is an old copy.
            Unavailable: nobody can say.
        """
        if self.line(head.tenant, head.name, head.seq) is None:
            if head.seq and self.line(head.tenant, head.name, head.seq - 1) is None:
                raise frozen(f"its entries {head.seq - 1} and {head.seq} have both lost their witnesses")
            self.put(head)
        else:
            self._compare(head)
        if self.line(head.tenant, head.name, head.seq + 1) is not None:
            raise frozen(f"its ledger ends at entry {head.seq}, and a later one is witnessed")

    def numbers(self, tenant: str, name: str) -> set[int]:
        """The numbers of all that there are, by listing them."""
        return {seq for seq, *_ in self.all(tenant, name)}

    def newest(self, tenant: str, name: str) -> int:
        """The number of the newest witness, by listing them; -1 when there is none."""
        return max(self.numbers(tenant, name), default=-1)

    def all(self, tenant: str = "", name: str = "") -> list[tuple[int, str, str]]:
        """The number, tenant and name of every witness: of a data set, or of all."""
        prefix = _path(tenant, name, 0).rpartition("/")[0] + "/" if tenant else PREFIX
        parts = (entry.key.split("/") for entry in self._objects.keys(prefix))
        return [(int(seq), tenant, name) for _, tenant, name, seq in parts]

    def line(self, tenant: str, name: str, seq: int) -> bytes | None:
        """What was witnessed; None when nothing was."""
        try:
            return b"".join(self._objects.read(_path(tenant, name, seq)))
        except KeyError:
            return None

    def _compare(self, entry: Entry) -> None:
        if self.line(entry.tenant, entry.name, entry.seq) != entry.line():
            raise frozen(f"its entry {entry.seq} is not the one that was witnessed")


def frozen(reason: str) -> AccountFrozen:
    """The error that says why nothing can be spent."""
    return AccountFrozen(
        f"The account of this data set is frozen: {reason}. Expected the ledger that the witnesses tell of; "
        "an operator has to reconcile it, and until then nothing can be spent."
    )


def _path(tenant: str, name: str, seq: int) -> str:
    return f"{PREFIX}{tenant}/{name}/{seq:012d}"
