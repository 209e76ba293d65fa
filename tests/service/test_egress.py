"""The way out of the service: to public addresses only, to the very one that was looked at, never anywhere else."""

import asyncio
import ssl
from ipaddress import ip_address, ip_network

import pytest

import service.egress
from service.addresses import may_connect
from service.egress import AddressGuard, Egress, Refused, Unreachable
from tests.service.receivers import CERTIFICATE, receiving

LOOPBACK = (ip_network("127.0.0.0/8"),)

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:100.64.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "168.63.129.17",
    "169.253.1.1",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.1.1",
    "198.17.1.1",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address):
    assert not may_connect(ip_address(address), ())


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address):
    assert may_connect(ip_address(address), ())


@pytest.mark.parametrize(
    ("address", "allowed"), [("127.0.0.2", True), ("::ffff:127.0.0.2", True), ("::1", False), ("10.0.0.1", False)]
)
def test_a_network_can_be_allowed_and_no_more_than_it(address, allowed):
    assert may_connect(ip_address(address), LOOPBACK) is allowed


@pytest.fixture
async def make_egress():
    made = []

    def make(allow_http=(), allow_private=(), **options):
        made.append(Egress(AddressGuard(allow_http, allow_private, **options)))
        return made[-1]

    yield make
    for egress in made:
        await egress.close()


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https:///x",
        "example.com",
        "https://user:secret@example.com/",
        "https://example.com@localhost/",
        "https://example.com/#part",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nHost: x",
        "https://bücher.example/",
        "https://example.com./",
        "https://-a.example/",
        "https://a_b\\@localhost/",
        "https://[fe80::1%25eth0]/",
        "file:///etc/passwd",
        "https://xn--/",
    ],
)
def test_only_plain_https_addresses_are_taken(url, make_egress):
    with pytest.raises(Refused, match="expected"):
        AddressGuard((), ()).target(url)


def test_a_host_may_be_allowed_without_tls():
    guard = AddressGuard(("hooks.internal",), ())
    assert guard.target("http://hooks.internal:8080/a?b=1") == ("http", "hooks.internal", 8080, "/a?b=1")
    assert guard.target("https://Example.COM").authority == "example.com"
    assert guard.target("https://[2606:4700::1]:8443/").authority == "[2606:4700::1]:8443"


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_no_spelling_of_a_private_address_gets_through(host, make_egress, receiver):
    egress = make_egress(allow_http=(host.strip("[]"),))
    with pytest.raises(Refused, match="public"):
        await egress.post(f"http://{host}:{receiver.port}/", {}, b"{}")
    assert receiver.received == []


async def test_one_private_address_among_public_ones_is_refused(make_egress):
    egress = make_egress(resolve=lambda *_: ["8.8.8.8", "169.254.169.254"])
    with pytest.raises(Refused):
        await egress.post("https://rebinding.test/", {}, b"{}")


@pytest.mark.parametrize("found", [OSError, UnicodeError, lambda *_: [], lambda *_: ["no address"]])
async def test_a_name_that_does_not_resolve_is_told_like_one_that_is_private(found, make_egress):
    def resolve(*args):
        if isinstance(found, type):
            raise found
        return found(*args)

    with pytest.raises(Refused, match="^expected a host that resolves, and to public addresses only$"):
        await make_egress(resolve=resolve).post("https://nowhere.test/", {}, b"{}")


async def test_a_name_server_that_does_not_answer_is_given_up(make_egress, monkeypatch):
    monkeypatch.setattr(service.egress, "CONNECT_TIMEOUT_S", 0.05)
    with pytest.raises(Refused):
        await make_egress(resolve=lambda *_: __import__("time").sleep(0.3)).post("https://slow.test/", {}, b"{}")


async def test_a_name_is_resolved_once_for_a_delivery_and_anew_for_the_next(make_egress, receiver):
    """Rebinding: each delivery goes to what its own look at the name gave."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    egress = make_egress(("rebinding.test",), LOOPBACK, resolve=lambda *_: answers.pop(0))
    assert await egress.post(f"http://rebinding.test:{receiver.port}/", {}, b"{}") == 204
    with pytest.raises(Refused):
        await egress.post(f"http://rebinding.test:{receiver.port}/", {}, b"{}")
    assert answers == []
    assert [one.headers["host"] for one in receiver.received] == [f"rebinding.test:{receiver.port}"]


async def test_the_next_address_is_tried_when_one_does_not_answer(make_egress, receiver):
    egress = make_egress(("two.test",), LOOPBACK, resolve=lambda *_: ["127.0.0.9", "127.0.0.1"])
    assert await egress.post(f"http://two.test:{receiver.port}/", {}, b"{}") == 204


async def test_tls_asks_for_the_name_and_not_for_the_address(make_egress, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with receiving(tls=True) as receiver:
        egress = make_egress((), LOOPBACK, resolve=lambda *_: ["127.0.0.1"])
        assert await egress.post(receiver.url, {"x-test": "1"}, b"{}") == 204
        assert receiver.names == ["receiver.test"]
        (got,) = receiver.received
    assert (got.path, got.body, got.headers["x-test"]) == ("/hook?a=1", b"{}", "1")
    assert got.headers["host"] == f"receiver.test:{receiver.port}"


async def test_a_certificate_that_nobody_vouches_for_is_refused(make_egress):
    with receiving(tls=True) as receiver:
        egress = make_egress((), LOOPBACK, resolve=lambda *_: ["127.0.0.1"])
        with pytest.raises(Unreachable, match="certificate"):
            await egress.post(receiver.url, {}, b"{}")
        assert receiver.received == []


async def test_a_certificate_of_another_host_is_refused(make_egress, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with receiving(tls=True) as receiver:
        egress = make_egress((), LOOPBACK, resolve=lambda *_: ["127.0.0.1"])
        with pytest.raises(Unreachable, match="certificate"):
            await egress.post(f"https://other.test:{receiver.port}/", {}, b"{}")


async def test_a_receiver_without_tls_is_told_as_that(make_egress, receiver):
    egress = make_egress((), LOOPBACK)
    with pytest.raises(Unreachable, match="expected TLS"):
        await egress.post(f"https://localhost:{receiver.port}/", {}, b"{}")


async def test_redirects_are_not_followed(make_egress, receiver):
    with receiving() as elsewhere:
        receiver.answers, receiver.answer_headers = [307], {"Location": elsewhere.url}
        assert await make_egress(("localhost",), LOOPBACK).post(receiver.url, {}, b"{}") == 307
        assert elsewhere.received == []


async def test_proxies_of_the_environment_are_not_used(make_egress, receiver, monkeypatch):
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://localhost:{proxy.port}")
        assert await make_egress(("localhost",), LOOPBACK).post(receiver.url, {}, b"{}") == 204
        assert proxy.received == []


async def test_no_answer_in_time_is_none(make_egress, receiver, monkeypatch):
    monkeypatch.setattr(service.egress, "TIMEOUT_S", 0.2)
    receiver.hold.clear()
    with pytest.raises(Unreachable, match=r"within 0\.2 s"):
        await make_egress(("localhost",), LOOPBACK).post(receiver.url, {}, b"{}")


async def test_nobody_there_is_told_without_the_address(make_egress, receiver):
    egress = make_egress(("localhost",), LOOPBACK, resolve=lambda *_: ["127.0.0.9"])
    with pytest.raises(Unreachable, match="^the connection could not be made$"):
        await egress.post(receiver.url, {}, b"{}")


async def test_of_a_large_answer_little_is_read(make_egress, receiver):
    receiver.body = b"x" * 2**26
    async with asyncio.timeout(5):
        assert await make_egress(("localhost",), LOOPBACK).post(receiver.url, {}, b"{}") == 204


def test_the_certificate_of_the_tests_is_readable():
    assert ssl.create_default_context(cafile=str(CERTIFICATE)).cert_store_stats()["x509"] == 1
