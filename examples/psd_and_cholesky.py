"""A draw from a Gaussian process: its covariance is a Gram matrix, positive definite, so it has a Cholesky factor."""

import numpy as np

import mercer
from mercer import kernels as k

x = np.linspace(0.0, 10.0, 400)[:, None]
# A little white noise keeps the smallest eigenvalue above rounding.
kernel = k.Gaussian(lengthscale=1.5) + k.White(1e-8)
assert kernel.positive_definite

with mercer.Client() as client:
    K = client.run(mercer.Gram(kernel=kernel, x=x))

assert (K == K.T).all()
factor = np.linalg.cholesky(K)
draw = factor @ np.random.default_rng(1).normal(size=len(x))
print(f"smallest eigenvalue {np.linalg.eigvalsh(K)[0]:.1e}; a draw of {len(draw)} values in ", end="")
print(f"[{draw.min():.2f}, {draw.max():.2f}], its steps at most {np.abs(np.diff(draw)).max():.3f}")
