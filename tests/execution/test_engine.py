from saliency_stats.execution.engine import InProcess


def test_results_come_in_the_order_of_the_units():
    assert list(InProcess().map(lambda unit: unit * 2, [3, 1, 2])) == [6, 2, 4]


def test_a_unit_is_worked_on_when_its_result_is_asked_for():
    """Results are stored one by one, so that a run that is stopped keeps those it had."""
    done = []
    results = InProcess().map(done.append, [1, 2, 3])
    assert done == []
    next(results)
    assert done == [1]
