"""A proxy in the environment is not used for servers on this machine, but still for others."""

import os

import httpx
import pytest

from flows.server.proxies import reach_local_servers_directly
from tests.servers import web_server

OURS = "127.0.0.1,localhost,::1"
DEAD = "http://127.0.0.1:9"


@pytest.fixture
def environment(monkeypatch):
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    monkeypatch.setattr(os, "environ", own)
    return own


def test_without_a_proxy_nothing_is_set(environment):
    environment["NO_PROXY"] = "example.org"
    before = dict(environment)
    reach_local_servers_directly()
    assert environment == before


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_with_a_proxy_this_machine_is_reached_directly(environment, name):
    environment[name] = DEAD
    reach_local_servers_directly()
    assert (environment["NO_PROXY"], environment["no_proxy"]) == (OURS, OURS)


@pytest.mark.parametrize(
    ("own", "upper", "lower"),
    [
        ({"NO_PROXY": "a.org, localhost"}, "a.org,localhost,127.0.0.1,::1", None),
        ({"no_proxy": "b.org"}, f"b.org,{OURS}", None),
        ({"NO_PROXY": "a.org", "no_proxy": "b.org"}, f"a.org,{OURS}", f"b.org,{OURS}"),
        ({"NO_PROXY": "*"}, "*", None),
    ],
)
def test_what_the_user_has_listed_stays(environment, own, upper, lower):
    environment |= {"HTTP_PROXY": DEAD, **own}
    reach_local_servers_directly()
    assert environment["NO_PROXY"] == upper
    assert environment["no_proxy"] == (lower or upper)


def test_a_local_server_is_reached_even_if_the_proxy_is_dead(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, DEAD)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with web_server((200, "here")) as url:
        with pytest.raises(httpx.TransportError):
            httpx.get(url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "")  # so that the change is undone afterwards
        reach_local_servers_directly()
        assert httpx.get(url).text == "here"
        with pytest.raises(httpx.TransportError):
            httpx.get("http://192.0.2.1/")  # elsewhere the proxy holds
