"""The client with await: other work goes on while the jobs are computed."""

import asyncio

import numpy as np

import mercer
from mercer import kernels as k


async def main() -> None:
    """Three kernel functions of the same points, at once."""
    x = np.random.default_rng(0).normal(size=(300, 4))
    kernels = [k.Gaussian(lengthscale=2.0), k.LaplacianL1(lengthscale=2.0), k.RationalQuadratic(alpha=0.5)]
    async with mercer.AsyncClient() as client:
        jobs = await client.submit_many(mercer.Gram(kernel=kernel, x=x) for kernel in kernels)
        kernel_of = {job.id: kernel for job, kernel in zip(jobs, kernels, strict=True)}
        async for job in mercer.as_completed(jobs):
            K = await job.result()
            print(f"{kernel_of[job.id]}: mean entry {K.mean():.4f}")


asyncio.run(main())
