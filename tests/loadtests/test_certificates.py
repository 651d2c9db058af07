"""The authority made for a run is one that a strict client accepts, and only for loopback."""

import contextlib
import ssl

import pytest

from loadtests.certificates import make_certificates


@pytest.fixture
def made(tmp_path):
    return make_certificates(tmp_path)


def shake_hands(made, name):
    """Both sides in memory; raises what the client raises."""
    client_in, client_out, server_in, server_out = (ssl.MemoryBIO() for _ in range(4))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.chain, made.key)
    server = context.wrap_bio(server_in, server_out, server_side=True)
    trusting = ssl.create_default_context(cafile=made.authority)
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    client = trusting.wrap_bio(client_in, client_out, server_hostname=name)
    for _ in range(4):
        for side, out, into in ((client, client_out, server_in), (server, server_out, client_in)):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            into.write(out.read())
    return client.version()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_loopback_is_trusted_by_who_is_given_the_authority(made, name):
    assert shake_hands(made, name) == "TLSv1.3"


def test_no_other_name_is(made):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(made, "example.com")
