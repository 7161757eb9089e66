"""All headers go on, except those of one connection and those that framing makes wrong."""

import pytest

from proxy_pkg.relay.headers import named_by_connection, request_headers, response_headers
from proxy_pkg.relay.spelling import head_bytes

HOP_BY_HOP = (
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
)
KEPT = [(b"authorization", b"Bearer k"), (b"x-a", b"1"), (b"x-a", b"2"), (b"x-empty", b"")]


@pytest.mark.parametrize("name", HOP_BY_HOP)
def test_what_belongs_to_one_connection_stays_there(name: bytes) -> None:
    assert list(request_headers([*KEPT, (name, b"x")]).items()) == [(n.decode(), v.decode()) for n, v in KEPT]
    assert response_headers([*KEPT, (name.title(), b"x")], 200) == KEPT


@pytest.mark.parametrize("name", [b"x-headroom-base-url", b"x-headroom-user-id", b"x-headroom-token"])
def test_what_clients_tell_a_proxy_stays_with_it(name: bytes) -> None:
    assert name.decode() not in request_headers([*KEPT, (name, b"x")])


@pytest.mark.parametrize("value", [b"close, X-A", b"x-a", b" x-A ,, close", b"keep-alive,\tx-a\t"])
def test_what_a_connection_header_names_goes_with_it(value: bytes) -> None:
    given = [(b"connection", value), *KEPT]
    assert "x-a" not in request_headers(given)
    assert b"x-a" not in dict(response_headers([(b"Connection", value), *KEPT], 200))


@pytest.mark.parametrize(
    "name", [b"authorization", b"X-Api-Key", b"content-encoding", b"content-type", b"anthropic-version"]
)
def test_a_connection_header_takes_nothing_away_that_the_content_or_the_caller_needs(name: bytes) -> None:
    given = [(b"connection", b"close, " + name), (name.lower(), b"1"), (b"x", b"2")]
    assert list(request_headers(given).items()) == [(name.lower().decode(), "1"), ("x", "2")]
    assert response_headers(given, 200) == given[1:]


@pytest.mark.parametrize("name", [b"content_length", b"transfer_encoding", b"http2-settings", b"proxy_connection"])
def test_what_another_server_could_take_for_framing_does_not_go_upstream(name: bytes) -> None:
    assert list(request_headers([(name, b"7"), (b"session_id", b"1")]).items()) == [("session_id", "1")]


def test_several_connection_headers_are_read_together() -> None:
    given = [(b"connection", b"a"), (b"connection", b"b, c")]
    assert named_by_connection(given) == {b"a", b"b", b"c"}
    assert named_by_connection(KEPT) == frozenset()


def test_host_framing_and_our_own_names_do_not_go_upstream() -> None:
    given = [(b"host", b"h"), (b"content-length", b"3"), (b"expect", b"100-continue"), (b"x-ours", b"1"), *KEPT]
    assert list(request_headers(given, {b"x-ours"}).items()) == [(n.decode(), v.decode()) for n, v in KEPT]


def test_order_and_repetition_stay() -> None:
    given = [(b"b", b"1"), (b"a", b"2"), (b"b", b"3")]
    assert list(request_headers(given).items()) == [("b", "1"), ("a", "2"), ("b", "3")]
    assert response_headers([(b"B", b"1"), (b"a", b"2"), (b"B", b"3")], 200) == given


@pytest.mark.parametrize("value", ["grün ✓".encode(), b"gr\xfcn", bytes(range(0x80, 0x100)), b"\xc3\xa9\xff", b"plain"])
def test_a_value_leaves_as_the_bytes_it_came_as(value: bytes) -> None:
    head = head_bytes("POST / HTTP/1.1", request_headers([(b"x", value), (b"y", b"1")]))
    assert head == b"POST / HTTP/1.1\r\nx: " + value + b"\r\ny: 1\r\n\r\n"


def test_a_line_end_in_a_value_is_still_refused() -> None:
    with pytest.raises(ValueError, match="injection"):
        head_bytes("GET / HTTP/1.1", request_headers([(b"x", b"\xfc\r\ny: 1")]))


@pytest.mark.parametrize(("status", "kept"), [(200, True), (206, True), (404, True), (204, False), (304, False)])
def test_a_length_goes_on_where_there_can_be_a_body(status: int, kept: bool) -> None:
    assert (b"content-length", b"5") in response_headers([(b"Content-Length", b"5")], status) or not kept
    assert bool(response_headers([(b"Content-Length", b"5")], status)) is kept


def test_control_characters_become_spaces_and_tabs_and_high_bytes_stay() -> None:
    given = [(b"x", b"a\x00b\x1fc\x7fd\te\xe9"), (b"y", b"plain")]
    assert response_headers(given, 200) == [(b"x", b"a b c d\te\xe9"), (b"y", b"plain")]


def test_what_another_server_of_this_family_says_of_its_own_request_stays_there() -> None:
    said = [(b"X-Headroom-Decision", b"passthrough"), (b"x-headroom-request-id", b"2"), (b"x-headroom-error", b"busy")]
    assert response_headers([*said, (b"x-a", b"1")], 200) == [(b"x-headroom-error", b"busy"), (b"x-a", b"1")]
