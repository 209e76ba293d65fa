"""Places in streams, as clients hand them back."""

from __future__ import annotations

import re

from mercer.errors import InvalidRequest

_ENTRY_ID = re.compile("[0-9]{1,19}-[0-9]{1,19}")
"""Of a stream: two numbers of 64 bits."""

_CURSOR = re.compile(f"(?!0+-0+$){_ENTRY_ID.pattern}")
"""Of an entry, none of which is 0-0: the server refuses to look before that."""


def before(cursor: str | None) -> str:
    """Where a page begins: before the last entry of the page before, or at the newest.

    Raises:
        InvalidRequest: The cursor is none that a page gave.
    """
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise InvalidRequest("the cursor must be one that an earlier page gave")
    return cursor or "+"


def parse_event_id(event_id: str | None) -> tuple[str, str]:
    """The state and the entry of the progress stream that were last seen."""
    attempt_and_state, _, progress_id = (event_id or "").rpartition(".")
    return (attempt_and_state, progress_id) if _ENTRY_ID.fullmatch(progress_id) else ("", "0-0")
