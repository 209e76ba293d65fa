"""A thousand jobs as one batch, read in the order in which they end."""

import numpy as np

import mercer
from mercer import kernels as k

x = np.random.default_rng(0).normal(size=(30, 4))
scales = np.geomspace(0.1, 10.0, 1_000).tolist()

with mercer.Client() as client:
    batch = client.batch((f"scale {s:.6f}", mercer.Gram(kernel=k.Gaussian(lengthscale=s), x=x)) for s in scales)
    means = {name: float(matrix.mean()) for name, matrix in batch.results()}
    print(f"{len(means)} of {batch.refresh().counts.total} jobs, {batch.record.status}; errors: {batch.errors()}")
    print(f"mean entry from {min(means.values()):.3g} to {max(means.values()):.3g}")
