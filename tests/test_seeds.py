from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.seeds import derive

NAMES = st.lists(st.one_of(st.text(max_size=5), st.integers(0, 100), st.floats(0.1, 50)), min_size=1, max_size=3)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), NAMES)
def test_the_same_names_give_the_same_seed_and_it_fits_every_generator(seed, names):
    assert derive(seed, *names) == derive(seed, *names)
    assert 0 <= derive(seed, *names) < 2**32


def test_seeds_do_not_change_between_versions():
    """A study is repeated by its seed; another number here is another study."""
    assert (derive(0, "splits"), derive(7, "classifier", 20.0)) == (592383812, 1880859380)


def test_uses_are_independent_of_each_other():
    used = [
        derive(seed, *names)
        for seed in range(20)
        for names in (("a",), ("b",), ("a", "b"), ("b", "a"), ("ab",), ("a", 20.0), ("a", 40.0))
    ]
    assert len(set(used)) == len(used)
