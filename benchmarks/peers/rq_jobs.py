"""What an RQ worker imports."""

from measuring import COUNTER, connection


def noop() -> int:
    """Count."""
    return connection.incr(COUNTER)
