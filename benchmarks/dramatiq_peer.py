"""The peer of benchmarks.service: the same Gram matrix as a Dramatiq actor, with npy in and npy out.

Arguments travel as base64 and results as raw bytes under one key each, the cheapest forms that Dramatiq can carry.
"""

import base64
import io
import os

import dramatiq
import numpy as np
import redis
from dramatiq.brokers.redis import RedisBroker

URL = os.environ["PEER_REDIS_URL"]
dramatiq.set_broker(RedisBroker(url=URL, namespace="dramatiq-peer"))
connection = redis.Redis.from_url(URL)


def gaussian_gram(x: np.ndarray, lengthscale: float) -> np.ndarray:
    """The best plain NumPy form: one product, then in place."""
    z = x / lengthscale
    half = 0.5 * np.einsum("ij,ij->i", z, z)
    k = z @ z.T
    k -= half[:, None]
    k -= half[None, :]
    np.minimum(k, 0.0, out=k)
    return np.exp(k, out=k)


@dramatiq.actor(max_retries=0)
def gram(key: str, x: str, lengthscale: float) -> None:
    """Compute one matrix and store its npy file under `key`."""
    points = np.load(io.BytesIO(base64.b64decode(x)))
    out = io.BytesIO()
    np.save(out, gaussian_gram(points, lengthscale))
    connection.set(key, out.getvalue(), ex=600)


@dramatiq.actor(max_retries=0)
def nothing(key: str) -> None:
    """A job that does nothing but say that it ran."""
    connection.set(key, b"1", ex=600)
