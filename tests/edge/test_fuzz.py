import pickle

from benchmarks.edge.fuzz import MAX_GROWTH_MIB, fuzz, requests, seeds


def test_fuzzed_uploads_are_taken_or_refused_and_nothing_else(local):
    """300 of the 10,000 that `python -m benchmarks.edge fuzz` sends."""
    found = fuzz(local, 300, seed=7)
    assert found.wrong == []
    assert found.pickles_loaded == 0
    assert found.growth_mib < MAX_GROWTH_MIB
    answered = {status for counts in found.statuses.values() for status in counts}
    assert {201, 422} <= answered, "the mutations leave some valid and break most"


def test_the_same_seed_makes_the_same_uploads(tmp_path):
    assert list(requests(50, 3, tmp_path)) == list(requests(50, 3, tmp_path))


def test_the_planted_pickle_would_be_seen(tmp_path):
    mark = tmp_path / "loaded"
    body = seeds(mark)["npy"][-1]
    pickle.loads(body[128:])
    assert mark.exists()
