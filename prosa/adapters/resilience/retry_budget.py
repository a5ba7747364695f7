"""How many calls to models may be repeated: a token bucket for the whole process."""

CAPACITY = 10.0
EARNED_BY_FIRST_CALL = 0.2


class RetryBudget:
    """Allows a short series of retries, and of many calls a fifth.

    Where every call fails, retries would double the load on what is already down.
    """

    def __init__(self) -> None:
        self._tokens = CAPACITY

    def earn(self) -> None:
        """Count a call that is no retry."""
        self._tokens = min(CAPACITY, self._tokens + EARNED_BY_FIRST_CALL)

    def spend(self) -> bool:
        """Take a retry, if one is left."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
