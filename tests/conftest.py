"""Fixtures that tests of every room may use."""

from collections.abc import Iterator

import pytest

from tests.fakes.upstream import Upstream, running


@pytest.fixture(scope="module")
def upstream_of_module() -> Iterator[Upstream]:
    with running() as upstream:
        yield upstream


@pytest.fixture
def upstream(upstream_of_module: Upstream) -> Iterator[Upstream]:
    """A recording fake upstream, the same for a whole module, empty again for each test."""
    yield upstream_of_module
    upstream_of_module.clear()
