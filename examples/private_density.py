"""A density of private records and a classifier of private digits: paid for once, asked as often as wanted."""

from pathlib import Path

import numpy as np

import mercer
from mercer import kernels as k

table = np.loadtxt(Path(__file__).parent / "data" / "digits.csv", delimiter=",", skiprows=1)
rng = np.random.default_rng(0)
patients = rng.normal([170, 70], [8, 10], (5_000, 2))  # height in cm, weight in kg

with mercer.Client() as client:
    # The custodian: terms that never change, none of them taken from the records.
    private = client.private.protect(
        patients,
        epsilon=3.0,
        delta=1e-6,
        neighbours="add_or_remove_one",
        domain=mercer.Box(low=[140, 40], high=[200, 120]),
        max_records=10_000,
    )
    digits = client.private.protect(
        table,
        epsilon=2.0,
        delta=1e-5,
        neighbours="add_or_remove_one",
        domain=mercer.Box(low=[0] * 65, high=[16] * 64 + [9]),
        max_records=2_000,
    )

    # The analyst: what it would cost, the release, and what is left.
    density = mercer.PrivateDensity(x=private, kernel=k.Gaussian(lengthscale=5.0), epsilon=1.0, delta=1e-7)
    print(client.plan(density).details["reason"])
    release = client.run(density)
    print(release([[170.0, 70.0], [150.0, 110.0]]))
    print(f"spent {client.private.budget(private).spent_epsilon:.3g} of 3")

    classifier = client.run(
        mercer.PrivateClassifier(
            x=digits, label_column=64, classes=range(10), kernel=k.Gaussian(lengthscale=24.0), epsilon=1.0, delta=1e-5
        )
    )
    guessed = classifier.predict(table[:, :64])
    print(f"told {np.mean(guessed == table[:, 64]):.0%} of the digits")
