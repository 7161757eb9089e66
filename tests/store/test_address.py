"""URLs of a Redis, in all the forms it comes in."""

import pytest

from proxy_pkg.store.address import Address, parse


@pytest.mark.parametrize(
    ("url", "address"),
    {
        "redis://cache": Address("single", hosts=(("cache", 6379),)),
        "valkey://cache:7000/3": Address("single", hosts=(("cache", 7000),), db=3),
        "rediss://ann:p%40ss@10.0.0.1:6380": Address(
            "single", tls=True, hosts=(("10.0.0.1", 6380),), username="ann", password="p@ss"
        ),
        "redis://:secret@[::1]:7/0": Address("single", hosts=(("::1", 7),), password="secret"),
        "REDIS://cache?db=2": Address("single", hosts=(("cache", 6379),), db=2),
        "unix:///run/redis.sock?db=1": Address("socket", place="/run/redis.sock", db=1),
        "redis+sentinel://a,b:5/main": Address("sentinel", hosts=(("a", 26379), ("b", 5)), place="main"),
        "rediss+sentinel://u:p@a/main/4": Address(
            "sentinel", tls=True, hosts=(("a", 26379),), place="main", db=4, username="u", password="p"
        ),
        "redis+cluster://a:1,b:2": Address("cluster", hosts=(("a", 1), ("b", 2))),
        "rediss://a?ssl_ca_certs=/etc/ca.pem": Address(
            "single", tls=True, hosts=(("a", 6379),), options={"ssl_ca_certs": "/etc/ca.pem"}
        ),
    }.items(),
)
def test_a_url_is_taken_apart(url: str, address: Address) -> None:
    assert parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache:6379",
        "http://cache",
        "redis://",
        "redis://:6379",
        "redis://a:0",
        "redis://a:99999",
        "redis://a:port",
        "redis://a/b",
        "redis://a/1/2",
        "redis://a,b",
        "redis://a b",
        "redis+sentinel://a",
        "redis+sentinel://a/main/x",
        "redis+cluster://a/1",
        "redis+other://a",
        "unix://host/path",
        "unix://",
        "redis://a?socket_timeout=5",
        "redis://a?db=-1",
    ],
)
def test_what_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]") as caught:
        parse(url.replace("://", "://user:hunter2@") if url.startswith("redis://") else url)
    assert "hunter2" not in str(caught.value)
