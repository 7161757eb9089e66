"""How descriptors are shared between clients and upstreams."""

import resource
from pathlib import Path

import pytest

from proxy_pkg.config import descriptors


@pytest.mark.parametrize("limit", [64, 256, 20_000, resource.RLIM_INFINITY])
def test_both_get_some_and_the_settings_are_not_passed(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    clients, upstreams = descriptors.descriptor_shares(500)
    assert 0 < upstreams <= 500
    assert clients >= upstreams
    assert limit == resource.RLIM_INFINITY or clients + upstreams < limit


def test_a_container_without_proc_is_served_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "_OPEN", Path("/nowhere/fd"))
    clients, upstreams = descriptors.descriptor_shares(500)
    assert min(clients, upstreams) > 0
