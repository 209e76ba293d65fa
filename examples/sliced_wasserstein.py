"""How far apart the digits are: sliced Wasserstein distances with error bars, a matrix of them, and a test."""

from pathlib import Path

import numpy as np

import mercer

table = np.loadtxt(Path(__file__).parent / "data" / "digits.csv", delimiter=",", skiprows=1)
clouds = [table[table[:, -1] == digit, :-1][:100] for digit in (0, 1, 3, 8)]

with mercer.Client() as client:
    estimate = client.run(mercer.SlicedWasserstein(x=clouds[0], y=clouds[1], rel_tol=0.01))
    print(estimate)
    distances = client.run(mercer.SlicedWassersteinMatrix.of(clouds, n_projections=256))
    print(np.asarray(distances).round(3))
    test = client.run(mercer.SlicedWassersteinTest(x=clouds[2], y=clouds[3], n_permutations=199))
    print(test)
