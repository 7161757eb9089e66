"""More authorities are trusted besides the system's, never instead of them."""

import ssl
from pathlib import Path

import pytest
from msgspec import structs

from proxy_pkg.config.load import load
from proxy_pkg.relay.trust import trusting
from proxy_pkg.server.preflight import ca_bundle_readable
from tests.fakes.tunnel import private_ca


def subjects(context: ssl.SSLContext) -> set[str]:
    return {str(certificate["subject"]) for certificate in context.get_ca_certs()}


def test_the_systems_authorities_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    bundle, _ = private_ca(tmp_path, "h.test")
    before, after = subjects(ssl.create_default_context()), subjects(trusting(str(bundle)))
    assert before <= after
    assert any("Private CA" in subject for subject in after - before)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert before <= subjects(trusting(str(bundle)))


def test_certificates_are_still_checked(tmp_path: Path) -> None:
    bundle, _ = private_ca(tmp_path, "h.test")
    context = trusting(str(bundle))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert trusting(str(tmp_path)).check_hostname, "a directory will do as well"


@pytest.mark.parametrize(
    "text", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_certificates_is_an_error_before_the_start(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(OSError):
        trusting(str(path))
    settings = structs.replace(load({}).settings, ca_bundle=str(path))
    (problem,) = ca_bundle_readable(settings).problems
    assert str(path) in problem
    assert not ca_bundle_readable(load({}).settings).problems
