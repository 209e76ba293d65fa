"""The peer of benchmarks.service: the same Gram matrix as a Dramatiq actor, with npy in and npy out.

Twice: with results kept and waited for by Dramatiq, as its documentation does it; and with results written by hand as
raw bytes under one key each, the cheapest form there is, of which Dramatiq itself knows nothing.
"""

import base64
import io
import os

import dramatiq
import numpy as np
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

URL = os.environ["PEER_REDIS_URL"]
broker = RedisBroker(url=URL, namespace="dramatiq-peer")
broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)
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


def npy(x: str, lengthscale: float) -> bytes:
    """The npy file of the matrix of points that came as an npy file in base64."""
    out = io.BytesIO()
    np.save(out, gaussian_gram(np.load(io.BytesIO(base64.b64decode(x))), lengthscale))
    return out.getvalue()


@dramatiq.actor(max_retries=0, store_results=True)
def gram(x: str, lengthscale: float) -> str:
    """Compute one matrix; a result is JSON, so its npy file is in base64."""
    return base64.b64encode(npy(x, lengthscale)).decode()


@dramatiq.actor(max_retries=0)
def gram_by_hand(key: str, x: str, lengthscale: float) -> None:
    """Compute one matrix and store its npy file under `key`."""
    connection.set(key, npy(x, lengthscale), ex=600)
