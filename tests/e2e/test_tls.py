# SPDX-License-Identifier: Apache-2.0
"""Calls over https: whom the host trusts, what it shows, and whose fault it is if that goes wrong."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Host, HostFailed, ScriptedFunction, wait_until
from harness.certificates import Authority, Shown
from harness.function import Call, Reply, reply_to
from harness.host import binary

Start = Callable[..., ScriptedFunction]
Make = Callable[[], Host]

OURS = """
---
kind: proa.v1/endpoint
spec:
  functions: {{{functions}: {{}}}}
  url: {url}
  tls: {{{tls}}}
  retry: {{first: 5ms, max: 20ms}}
"""
STATEFUN = """
kind: io.statefun.endpoints.v2/http
spec:
  functions: odd/*
  urlPathTemplate: {url}
  transport: {{{transport}}}
"""


def answer(call: Call) -> Reply:
    return Reply(reply_to(call, "proa/json", b"1"))


def ours(url: str, tls: str, functions: str = "odd/*") -> str:
    return OURS.format(url=url, tls=tls, functions=functions)


def check(module: str, tmp_path: Path) -> tuple[int, str]:
    """What `proa check` says of a module file."""
    path = tmp_path / "checked.yaml"
    path.write_text(module)
    done = subprocess.run([binary(), "check", str(path)], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).replace(str(path), "checked.yaml")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "stranger")


def test_a_certificate_of_the_named_authority_is_trusted(
    make_host: Make, scripted: Start, authority: Authority
) -> None:
    function = scripted(answer, tls=authority.server("localhost"))
    host = make_host().configure(module=ours(function.url, f"ca: {authority.ca}")).start()
    assert host.ask("odd/one/a", 1).json == 1
    assert host.metrics()["proa_calls_failed_total"] == 0
    assert function.calls[0].client == ""


def test_whom_the_machine_trusts_is_trusted_unless_a_file_is_named(
    make_host: Make, scripted: Start, authority: Authority, stranger: Authority
) -> None:
    function = scripted(answer, tls=authority.server("localhost", "127.0.0.1"))
    modules = {
        "nothing said": f"kind: proa.v1/endpoint\nspec: {{functions: {{odd/*: {{}}}}, url: '{function.url}'}}",
        "a star and an address": ours(f"https://127.0.0.1:{function.port}/", "verify: true"),
        "StateFun's": STATEFUN.format(url=function.url, transport="call: 1m"),
    }
    for module in modules.values():
        host = make_host().configure(module=module).start({"SSL_CERT_FILE": str(authority.ca)})
        assert host.ask("odd/one/a", 1).json == 1
        host.stop()
    host = make_host().configure(module=ours(function.url, f"ca: {stranger.ca}"))
    host.start({"SSL_CERT_FILE": str(authority.ca)})
    await_down(host, "unable to get local issuer certificate")


def await_down(host: Host, *words: str) -> None:
    """A message waits for its endpoint, which is down for a reason that is logged; nothing is parked."""
    assert host.send("odd/one/waits", 1).status == 202
    host.await_metric("proa_endpoints_down", 1)
    event = wait_until(lambda: next((e for e in host.events() if e["event"] == "endpoint.down"), None), "it is logged")
    for word in words:
        assert word in event["text"], event
    assert "its certificate is not to be trusted" in event["text"]
    metrics = host.metrics()
    assert (metrics["proa_mailbox_messages"], metrics["proa_parked_messages"]) == (1, 0)


@pytest.mark.parametrize(
    ("names", "days", "is_known", "words"),
    [
        (["elsewhere.test"], 1, True, "no alternative certificate subject name matches target host name 'localhost'"),
        (["localhost"], -1, True, "certificate has expired"),
        (["localhost"], 1, False, "unable to get local issuer certificate"),
    ],
    ids=["another name", "expired", "unknown authority"],
)
def test_a_certificate_that_is_not_to_be_trusted_is_the_endpoints_fault(
    make_host: Make,
    scripted: Start,
    authority: Authority,
    stranger: Authority,
    names: list[str],
    days: int,
    is_known: bool,
    words: str,
) -> None:
    function = scripted(answer, tls=(authority if is_known else stranger).server(*names, days=days))
    host = make_host().configure(module=ours(function.url, f"ca: {authority.ca}")).start()
    await_down(host, function.url, words)
    assert function.calls == []
    function.stop()
    function.tls = authority.server("localhost")  # mended
    function.start()
    host.await_idle()
    assert len(function.calls) == 1
    assert host.metrics()["proa_endpoints_down"] == 0


def test_verify_false_looks_at_nothing(make_host: Make, scripted: Start, stranger: Authority, tmp_path: Path) -> None:
    function = scripted(answer, tls=stranger.server("elsewhere.test", days=-1))
    module = ours(function.url, "verify: false")
    host = make_host().configure(module=module).start()
    assert host.ask("odd/one/a", 1).json == 1
    assert any("tls.verify" in event["text"] for event in host.events() if event["event"] == "module.warning")
    status, text = check(module, tmp_path)
    assert status == 0 and "checked.yaml:7: warning: tls.verify: false: whoever answers" in text


@pytest.mark.parametrize("ending", [None, b"", b"\n", b"\r\n"], ids=["plain", "all of it", "line end", "Windows"])
@pytest.mark.parametrize("kind", ["ours", "statefun"])
def test_the_host_shows_a_certificate(
    make_host: Make, scripted: Start, authority: Authority, tmp_path: Path, kind: str, ending: bytes | None
) -> None:
    function = scripted(answer, tls=authority.demanding_server("localhost"))
    shown = authority.client("the host", None if ending is None else b"open sesame")
    (tmp_path / "password").write_bytes(b"open sesame" + (ending or b""))
    keys = ("ca", "cert", "key", "key_password")
    if kind == "statefun":
        keys = ("trust_cacerts", "client_cert", "client_key", "client_key_password")
    files = [authority.ca, f"file:{shown.cert}", f"file://{shown.key}", tmp_path / "password"]
    said = ", ".join(f"{key}: '{file}'" for key, file in zip(keys, files[: 3 if ending is None else 4], strict=False))
    module = ours(function.url, said) if kind == "ours" else STATEFUN.format(url=function.url, transport=said)
    host = make_host().configure(module=module).start()
    assert host.ask("odd/one/a", 1).json == 1
    assert function.calls[0].client == "the host"


def test_without_the_certificate_it_wants_a_server_is_down(
    make_host: Make, scripted: Start, authority: Authority
) -> None:
    function = scripted(answer, tls=authority.demanding_server("localhost"))
    host = make_host().configure(module=ours(function.url, f"ca: {authority.ca}")).start()
    assert host.send("odd/one/a", 1).status == 202
    host.await_metric("proa_endpoints_down", 1)  # what it says depends on whether the alert or the reset comes first
    assert function.calls == []
    assert host.metrics()["proa_parked_messages"] == 0


def test_endpoints_that_show_different_certificates_share_no_connection(
    make_host: Make, scripted: Start, authority: Authority
) -> None:
    function = scripted(answer, tls=authority.demanding_server("localhost"))
    shown = {name: authority.client(name) for name in ("red", "blue")}
    tls = {name: f"ca: {authority.ca}, cert: {pair.cert}, key: {pair.key}" for name, pair in shown.items()}
    modules = [ours(function.url, tls[name], f"{name}/*") for name in ("red", "blue")]
    modules.append(ours(function.url, tls["red"], "scarlet/*"))  # the same as red
    host = make_host().configure(module="".join(modules)).start()
    for _ in range(3):
        for name in ("red", "blue", "scarlet"):
            assert host.ask(f"{name}/one/a", 1).json == 1
    seen = {call.batch.target.namespace: (call.client, call.peer_port) for call in function.calls}
    assert {name: client for name, (client, _) in seen.items()} == {"red": "red", "blue": "blue", "scarlet": "red"}
    assert seen["red"] == seen["scarlet"]
    assert len({call.peer_port for call in function.calls}) == 2


def test_endpoints_that_trust_others_share_no_connection(
    make_host: Make, scripted: Start, authority: Authority, stranger: Authority
) -> None:
    function = scripted(answer, tls=authority.server("localhost"))
    trusting = ours(function.url, f"ca: {authority.ca}", "trusting/*")
    wary = ours(function.url, f"ca: {stranger.ca}")
    blind = ours(function.url, "verify: false", "blind/*")
    host = make_host().configure(module=trusting + wary + blind).start()
    assert host.ask("trusting/one/a", 1).json == 1
    assert host.ask("blind/one/a", 1).json == 1
    await_down(host, "unable to get local issuer certificate")
    assert len({call.peer_port for call in function.calls}) == 2


def bad_files(folder: Path, authority: Authority) -> dict[str, tuple[str, str]]:
    """The keys that name files which cannot be used, and what is said of each."""
    pair, other = authority.client("one"), authority.client("two")
    locked = authority.client("locked", b"secret")
    (folder / "empty").write_bytes(b"")
    (folder / "wrong").write_bytes(b"guess")
    os.mkfifo(folder / "pipe")
    (folder / "cut").write_bytes(authority.ca.read_bytes()[:300] + b"\n-----END CERTIFICATE-----\n")

    def both(shown: Shown, more: str = "") -> str:
        return f"cert: {shown.cert}, key: {shown.key}{more}"

    return {
        "missing": (f"ca: {folder}/none.pem", f"tls.ca: the file {folder}/none.pem cannot be opened: No such file"),
        "folder": (f"ca: {folder}", f"tls.ca: the file {folder} cannot be read: Is a directory"),
        "pipe": (f"ca: {folder}/pipe", f"tls.ca: the file {folder}/pipe cannot be read: it is no regular file"),
        "empty": (f"ca: {folder}/empty", "empty holds no certificate; it wants PEM"),
        "garbage": (f"ca: {folder}/cut", "cut has a certificate that cannot be read, number 1 in it: "),
        "no certificate": (f"cert: {pair.key}, key: {pair.key}", f"tls.cert: the file {pair.key} holds no certificate"),
        "no key": (f"cert: {pair.cert}, key: {pair.cert}", f"tls.key: the file {pair.cert} holds no private key"),
        "another key": (
            f"cert: {pair.cert}, key: {other.key}",
            f"tls.key: the file {other.key} is not the key of the certificate in {pair.cert}",
        ),
        "no password": (both(locked), f"tls.key: the file {locked.key} is encrypted; name the file with its password"),
        "wrong password": (
            both(locked, f", key_password: {folder}/wrong"),
            f"tls.key_password: the file {folder}/wrong does not hold the password of the key",
        ),
        "empty password": (
            both(locked, f", key_password: {folder}/empty"),
            f"tls.key_password: the file {folder}/empty does not hold the password of the key",
        ),
        "missing password": (both(locked, ", key_password: /no/such"), "tls.key_password: the file /no/such cannot be"),
    }


BAD_FILES = (
    "missing folder pipe empty garbage no_certificate no_key another_key no_password wrong_password empty_password "
    "missing_password"
)


@pytest.mark.parametrize("name", BAD_FILES.split())
def test_files_that_cannot_be_used_are_told_before_the_start(
    make_host: Make, authority: Authority, tmp_path: Path, name: str
) -> None:
    files = bad_files(tmp_path, authority)
    assert {bad.replace(" ", "_") for bad in files} == set(BAD_FILES.split())
    tls, sentence = files[name.replace("_", " ")]
    module = ours("https://localhost:1/", tls)
    status, text = check(module, tmp_path)
    assert status == 1
    assert text.startswith("checked.yaml:7: tls.") and sentence in text, text
    host = make_host().configure(module=module)
    with pytest.raises(HostFailed, match="status 1"):
        host.start()
    assert sentence in host.log


def test_every_bad_file_is_told_at_once(authority: Authority, tmp_path: Path) -> None:
    module = ours("https://a/", "ca: /no/ca, cert: /no/cert, key: /no/key, key_password: /no/word", "a/*")
    module += STATEFUN.format(url="https://b/", transport="trust_cacerts: file:/no/trust")
    status, text = check(module.replace("\nkind: io", "\n---\nkind: io"), tmp_path)
    assert status == 1
    assert [line.split(": the file ")[0] for line in text.splitlines()] == [
        "checked.yaml:7: tls.ca",
        "checked.yaml:7: tls.cert",
        "checked.yaml:7: tls.key_password",
        "checked.yaml:7: tls.key",
        "checked.yaml:15: transport.trust_cacerts",
    ]
