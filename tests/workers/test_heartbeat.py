import time

from broker.records import Renewal
from gpu.device import Device
from workers.heartbeat import Heartbeat
from workers.metrics import Metrics


class Sweeps:
    """A queue that notes when somebody looks after the dead."""

    def __init__(self):
        self.at = []

    def renew(self, lease):
        return Renewal(True, set())

    def announce(self, worker, device, **counts):
        pass

    def sweep(self):
        self.at.append(time.monotonic())
        return []


def test_the_dead_are_looked_after_every_quarter_of_a_lease_even_by_one_worker():
    sweeps, lease_s = Sweeps(), 4.0
    with Heartbeat(sweeps, worker="w", device="cpu", lease_s=lease_s, metrics=Metrics(Device("cpu"), dict)):
        time.sleep(0.6 * lease_s)
        ended = time.monotonic()
    gaps = [after - before for before, after in zip(sweeps.at, [*sweeps.at[1:], ended], strict=True)]
    assert max(gaps) < lease_s / 4
