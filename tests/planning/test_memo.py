"""A memo stays within its bytes, whoever uses it, and forgets what was not asked for longest."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_pkg.planning.memo import Memo


def test_what_was_not_asked_for_longest_goes_first() -> None:
    memo: Memo[int] = Memo(10_000)
    for key in range(6):
        memo.put(key, key, 1000)
    assert memo.get(0) == 0
    for key in range(6, 9):
        memo.put(key, key, 1000)
    assert memo.get(0) == 0
    assert memo.get(1) is None
    assert memo.get(8) == 8


def test_an_entry_too_large_is_not_kept() -> None:
    memo: Memo[int] = Memo(1000)
    memo.put("large", 1, 900)
    assert (memo.get("large"), len(memo), memo.size_bytes) == (None, 0, 0)
    nothing: Memo[int] = Memo(0)
    nothing.put("a", 1, 0)
    assert nothing.get("a") is None


def test_putting_again_replaces() -> None:
    memo: Memo[int] = Memo(10_000)
    memo.put("a", 1, 100)
    before = memo.size_bytes
    memo.put("a", 2, 100)
    assert (memo.get("a"), memo.size_bytes, len(memo)) == (2, before, 1)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3000)), max_size=80))
def test_the_size_is_the_sum_of_what_is_kept_and_within_bounds(puts: list[tuple[int, int]]) -> None:
    memo: Memo[int] = Memo(8000)
    for key, size in puts:
        memo.put(key, size, size)
        assert memo.size_bytes <= 8000
    kept = [memo.get(key) for key in range(10)]
    assert memo.size_bytes == sum(size + 400 for size in kept if size is not None)


def test_threads_share_it_without_harm() -> None:
    memo: Memo[int] = Memo(50_000)

    def use(start: int) -> bool:
        right = True
        for number in range(3000):
            key = (start * 7 + number) % 90
            memo.put(key, key, number % 2000)
            found = memo.get((key * 3) % 90)
            right = right and found in (None, (key * 3) % 90)
        return right

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(4)))
    assert memo.size_bytes <= 50_000
