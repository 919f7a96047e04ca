"""Which leases on blobs a worker takes: held leases as text in, queues out."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.blob_balance import BlobLease, wanted


def leases(owners: str) -> list[BlobLease]:
    """One lease for each letter: who holds it; `-` nobody, `?` somebody who has not written that down yet."""
    return [
        BlobLease(
            control_queue=str(number),
            owner=None if letter in "-?" else letter,
            token=None if letter in "-?" else f"token {number}",
            is_held=letter != "-",
        )
        for number, letter in enumerate(owners)
    ]


@pytest.mark.parametrize(
    ("owners", "worker", "free", "share", "steals"),
    [
        ("----", "a", "0123", 4, ""),
        ("aa--", "b", "23", 2, ""),
        ("aaa-", "b", "3", 2, ""),
        ("aaaa", "a", "", 0, ""),
        ("aaaa", "b", "", 0, "01"),
        ("aabb", "b", "", 0, ""),
        ("aabb", "c", "", 0, "0"),
        ("aaab", "b", "", 0, "0"),
        ("aab", "b", "", 0, ""),
        ("aabbccdd", "e", "", 0, "0"),
        ("aaaaaaaabbbb", "c", "", 0, "0123"),
        ("aaaa????", "b", "", 0, "0"),
        ("????", "b", "", 0, ""),
        ("a", "b", "", 0, ""),
        ("-", "b", "0", 1, ""),
        ("", "b", "", 0, ""),
    ],
)
def test_what_is_wanted(owners: str, worker: str, free: str, share: int, steals: str) -> None:
    found = wanted(leases(owners), worker)
    assert "".join(lease.control_queue for lease in found.free) == free
    assert found.share == share
    assert "".join(lease.control_queue for lease in found.steals) == steals


def test_a_lease_that_has_run_out_counts_for_nobody() -> None:
    ended = BlobLease(control_queue="0", owner="a", token="t", epoch=7)
    assert wanted([ended], "b").free == (ended,)


@given(
    st.integers(1, 16),
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True),
    st.text("abcdefgh-", min_size=16, max_size=16),
    st.randoms(use_true_random=False),
)
def test_workers_that_take_turns_come_to_an_even_share_and_rest(
    count: int, workers: list[str], before: str, chance
) -> None:
    """Whoever held leases and has gone away; then passes in any order. At rest, counts differ by at most one."""
    held = [letter if letter in workers else "-" for letter in before[:count]]
    for _ in range(20):
        chance.shuffle(workers)
        for worker in workers:
            found = wanted(leases("".join(held)), worker)
            for lease in (*found.free[: found.share], *found.steals):
                held[int(lease.control_queue)] = worker
    assert not any(wanted(leases("".join(held)), worker).steals for worker in workers)
    counts = Counter(dict.fromkeys(workers, 0))
    counts.update(held)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert "-" not in counts
