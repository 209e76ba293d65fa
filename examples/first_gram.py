"""The first Gram matrix: a kernel function as an expression, points as a NumPy array."""

import numpy as np

import mercer
from mercer import kernels as k

rng = np.random.default_rng(0)
x = rng.normal(size=(500, 3))
y = rng.normal(size=(200, 3))
kernel = 0.7 * k.Matern(nu=2.5, lengthscale=[1.0, 2.0, 0.5]) + k.White(0.01)

with mercer.Client() as client:
    job = client.submit(mercer.Gram(kernel=kernel, x=x, y=y))
    K = job.result()

print(f"{kernel}")
print(f"{job.id}: K has shape {K.shape}, dtype {K.dtype}, and lies in [{K.min():.4f}, {K.max():.4f}]")
