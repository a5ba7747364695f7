"""How many retries a process may make."""

from prosa.adapters.resilience.retry_budget import RetryBudget


def left(budget: RetryBudget) -> int:
    return sum(budget.spend() for _ in range(100))


def test_ten_retries_are_there_at_first() -> None:
    assert left(RetryBudget()) == 10


def test_five_first_calls_earn_a_retry() -> None:
    budget = RetryBudget()
    left(budget)
    for _ in range(4):
        budget.earn()
    assert not budget.spend()
    budget.earn()
    # Fifths do not add up exactly.
    budget.earn()
    assert budget.spend()
    assert not budget.spend()


def test_no_more_than_ten_are_saved() -> None:
    budget = RetryBudget()
    for _ in range(1_000):
        budget.earn()
    assert left(budget) == 10
