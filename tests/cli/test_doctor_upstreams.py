"""What the doctor says of upstreams that cannot be reached: each cause with its own advice."""

import asyncio
import socket
from pathlib import Path

import pytest
from msgspec import structs

from proxy_pkg.cli.checkups import upstreams
from proxy_pkg.cli.checkups.finding import Finding
from proxy_pkg.cli.checkups.upstreams import Reached, judged
from proxy_pkg.config.load import load
from proxy_pkg.config.settings import ROWS, Settings
from tests.fakes.tunnel import private_ca, proxying, tls_before
from tests.fakes.upstream import Upstream

ANTHROPIC = ROWS["anthropic_target_api_url"]
TARGETS = [name for name, row in ROWS.items() if row.kind == "url"]


def only(url: str, **changed: object) -> Settings:
    return structs.replace(load({}).settings, **dict.fromkeys(TARGETS, "") | {ANTHROPIC.name: url} | changed)


async def found(url: str, **changed: object) -> Finding:
    (finding,) = await upstreams.examined(only(url, **changed))
    assert finding.subject == ANTHROPIC.environment
    return finding


async def test_one_that_answers_whatever_it_says_is_fine(upstream: Upstream) -> None:
    assert (await found(upstream.url)).state == "ok"


async def test_a_certificate_that_nobody_here_trusts_leads_to_the_setting(upstream: Upstream, tmp_path: Path) -> None:
    authority, papers = private_ca(tmp_path, "localhost")
    with tls_before(upstream.port, papers) as port:
        strange = await found(f"https://localhost:{port}")
        assert (strange.state, "HEADROOM_CA_BUNDLE" in strange.advice) == ("problem", True)
        assert (await found(f"https://localhost:{port}", ca_bundle=str(authority))).state == "ok"


async def test_https_to_a_port_without_tls_is_told() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert "http://" in (await found(f"https://127.0.0.1:{port}")).advice


async def test_a_name_that_nobody_knows_is_told() -> None:
    assert "name server" in (await found("https://nowhere.invalid")).advice


async def test_a_port_where_nobody_listens_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert "firewall" in (await found(f"http://127.0.0.1:{taken.getsockname()[1]}")).advice


async def test_a_proxy_that_refuses_is_told() -> None:
    with proxying({}) as proxy:
        proxy.status = 407
        by_proxy = {"upstream_https_proxy_url": f"http://user:wrong@127.0.0.1:{proxy.port}"}
        refused = await found("https://api.internal.test", **by_proxy)
    assert (refused.state, "password in HTTPS_PROXY" in refused.advice) == ("problem", True)
    assert "wrong" not in refused.text
    assert "HTTPS_PROXY" in (await found("https://api.internal.test", **by_proxy)).advice, "nobody is there any more"


def test_an_api_that_nobody_chose_is_no_problem_where_another_answers() -> None:
    lost, chosen = OSError("lost"), Reached(ANTHROPIC.name, "http://127.0.0.1:1")
    by_default = Reached("gemini_target_api_url", str(ROWS["gemini_target_api_url"].default), lost)
    other = Reached("upstreams.other", "http://127.0.0.1:2", lost)
    assert [each.state for each in judged([chosen, by_default, other])] == ["ok", "warning", "problem"]
    assert [each.state for each in judged([by_default])] == ["problem"], "nothing answers: that is no firewall"


@pytest.mark.parametrize(("skew", "words"), [(-3600.0, "3600 seconds ahead of"), (61.0, "61 seconds behind")])
def test_clocks_that_differ_are_told_once(skew: float, words: str) -> None:
    asked = [Reached(f"upstreams.{number}", f"http://127.0.0.{number}", skew_seconds=skew) for number in (1, 2, 3)]
    (clock,) = [each for each in judged(asked) if each.subject == "clock"]
    assert (clock.state, words in clock.text, "and of 2 more" in clock.text) == ("warning", True, True)
    assert not [each for each in judged([Reached("a", "b", skew_seconds=59)]) if each.subject == "clock"]
