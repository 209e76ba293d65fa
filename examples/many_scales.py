"""Many small jobs at once: the same points at a hundred lengthscales, collected as they finish."""

import numpy as np

import mercer
from mercer import kernels as k

x = np.random.default_rng(0).normal(size=(50, 8))
scales = np.geomspace(0.1, 10.0, 100).tolist()

with mercer.Client() as client:
    jobs = client.submit_many(mercer.Gram(kernel=k.Gaussian(lengthscale=s), x=x) for s in scales)
    scale_of = {job.id: scale for job, scale in zip(jobs, scales, strict=True)}
    spread = {scale_of[job.id]: job.result().std() for job in mercer.as_completed(jobs)}

best = max(spread, key=lambda scale: spread[scale])
print(f"{len(spread)} Gram matrices; their entries differ most at lengthscale {best:.3g}")
