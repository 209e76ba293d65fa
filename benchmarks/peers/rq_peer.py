"""RQ with SimpleWorker, which does not fork for every job."""

import time

import rq_jobs
from measuring import connection, measure
from rq import Queue

queue = Queue(connection=connection)


def submit(number: int) -> None:
    """Many in one pipeline, as RQ allows."""
    queue.enqueue_many([Queue.prepare_data(rq_jobs.noop) for _ in range(number)])


def call() -> None:
    """Look for the result each millisecond."""
    job = queue.enqueue(rq_jobs.noop)
    while job.latest_result() is None:
        time.sleep(0.001)


if __name__ == "__main__":
    measure(submit, call)
