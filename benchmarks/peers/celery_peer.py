"""Celery, the solo pool: the fastest one for jobs that do nothing."""

from celery import Celery
from measuring import COUNTER, URL, connection, measure

app = Celery("celery_peer", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True


@app.task(name="noop")
def noop() -> int:
    """Count."""
    return connection.incr(COUNTER)


def submit(number: int) -> None:
    """One message each: Celery has no call for many."""
    for _ in range(number):
        noop.delay()


if __name__ == "__main__":
    measure(submit, lambda: noop.delay().get(timeout=60))
