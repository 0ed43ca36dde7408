import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import StatisticsSettings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unit", "patch"),
        ("alpha", 0.0),
        ("alpha", 0.5),
        ("alpha", float("nan")),
        ("correction", "bonferroni"),
        ("primary_test", "wilcoxon"),
        ("bootstrap_draws", 1_999),
        ("min_confidence", 1.0),
        ("min_confidence", -0.1),
        ("evaluation_split", "testing"),
        ("equivalence_margin", 0.0),
        ("min_slides", 1),
        ("seed", -1),
    ],
)
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(StatisticsError, match=f"{key} is"):
        StatisticsSettings(**{key: value})


def test_the_defaults_are_in_range():
    assert StatisticsSettings().unit == "slide"
