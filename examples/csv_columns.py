"""A CSV file: uploaded once, then named by its digest; its columns and rows are chosen in the spec."""

from pathlib import Path

import mercer
from mercer import kernels as k

path = Path(__file__).parent / "data" / "digits.csv"

with mercer.Client() as client:
    digits = client.datasets.upload(path)
    pixels = [name for name in digits.columns or () if name != "digit"]
    first = digits.select(columns=pixels, rows=slice(0, 300))
    K = client.run(mercer.Gram(kernel=k.Gaussian(lengthscale=30.0), x=first, dtype="float32"))
    labels = client.datasets.get(digits.digest)[:300, -1]

same = labels[:, None] == labels[None, :]
print(f"{digits.digest[:20]}... has shape {digits.shape}")
print(f"mean similarity: {K[same].mean():.3f} of equal digits, {K[~same].mean():.3f} of different ones")
