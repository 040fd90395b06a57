"""The Redis store on real servers: standalone, on a socket, behind sentinels, as a cluster."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.cluster

from keyfob.errors import ConfigurationError, StoreUnavailable
from keyfob.web.sealing import KeyRing, Sealer
from keyfob.web.stores import CircuitStore, RedisStore, SealedStore, TokenStore, open_store
from support.programs import free_port
from support.redis_server import PATIENCE, RedisServer, cluster_server, make_cluster
from support.store_contract import Clock, StoreContract, at_once
from support.tls import self_signed


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisServer]:
    """One of the three servers of a cluster."""
    with cluster_server() as server, cluster_server() as second, cluster_server() as third:
        make_cluster(server, second, third)
        yield server


@pytest.fixture(scope="module")
def sentinel(redis_server: RedisServer) -> Iterator[RedisServer]:
    with sentinel_of(redis_server) as sentinel:
        yield sentinel


class TestStandalone(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock, redis_server: RedisServer) -> Iterator[TokenStore]:
        store = RedisStore(redis_server.url(), clock=clock)
        yield store
        store.close()


class TestOnASocket(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock, redis_server: RedisServer) -> Iterator[TokenStore]:
        url = f"unix://{redis_server.socket}?db=3&prefix={secrets.token_hex(8)}"
        store = RedisStore(url, clock=clock)
        yield store
        store.close()


class TestSealed(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock, redis_server: RedisServer) -> Iterator[TokenStore]:
        below = RedisStore(redis_server.url("valkey"), clock=clock)
        store = SealedStore(below, Sealer(KeyRing(["one"], purpose="token store")))
        yield store
        store.close()


class TestCluster(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock, cluster: RedisServer) -> Iterator[TokenStore]:
        store = RedisStore(cluster.url("redis+cluster"), clock=clock)
        yield store
        store.close()


class TestBehindSentinels(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock, sentinel: RedisServer) -> Iterator[TokenStore]:
        store = RedisStore(sentinel_url(sentinel), clock=clock)
        yield store
        store.close()


def sentinel_of(server: RedisServer) -> RedisServer:
    return RedisServer(
        f"sentinel monitor keys 127.0.0.1 {server.port} 1",
        "sentinel down-after-milliseconds keys 500",
        "sentinel failover-timeout keys 2000",
        sentinel=True,
    )


def sentinel_url(sentinel: RedisServer) -> str:
    # The first one is not there: the second is asked.
    return (
        f"redis+sentinel://127.0.0.1:{free_port()},{sentinel.address}/keys/0"
        f"?prefix={secrets.token_hex(8)}"
    )


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """One of the test's own, to be stopped and filled."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[RedisStore]:
    store = RedisStore(redis_server.url(prefix=secrets.token_hex(8)))
    yield store
    store.close()


@pytest.fixture
def raw(redis_server: RedisServer) -> Iterator[Any]:
    with redis_server.client() as client:
        yield client


def name_of(store: RedisStore, key: str) -> str:
    return f"{store._url.prefix}:{key}"


def in_an_hour() -> float:
    return time.time() + 3600


def connections_of(server: RedisServer) -> int:
    with server.client() as client:
        return len(client.client_list())


def unavailable(store: TokenStore) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        store.create("session-key", b"refresh-token", in_an_hour())
    message = str(caught.value)
    assert "session-key" not in message
    assert "refresh-token" not in message
    assert "hunter2" not in message
    return message


# --- what is kept


def test_the_server_forgets_a_record_by_itself_a_little_after_its_end(
    store: RedisStore, raw: Any
) -> None:
    store.create("k", b"x", time.time() + 100)
    assert 100_000 < raw.pttl(name_of(store, "k")) <= 160_000
    version = store.version("k")
    assert version is not None
    store.replace("k", b"y", version, time.time() + 1000)
    assert 1_000_000 < raw.pttl(name_of(store, "k")) <= 1_060_000
    store.extend("k", time.time() + 2000)
    assert 2_000_000 < raw.pttl(name_of(store, "k")) <= 2_060_000
    store.extend("k", time.time() + 10)
    assert raw.pttl(name_of(store, "k")) > 1_900_000, "extending never shortens"


@pytest.mark.parametrize("end", [9e9, 1e300, float("inf")])
def test_an_end_in_the_far_future_is_kept(store: RedisStore, end: float) -> None:
    assert store.create("k", b"x", end)
    assert store.load("k")


def test_a_record_that_has_ended_already_leaves_nothing_behind(store: RedisStore, raw: Any) -> None:
    assert store.create("k", b"x", time.time() - 1)
    assert raw.exists(name_of(store, "k")) == 0


def test_sites_with_prefixes_of_their_own_share_a_database(redis_server: RedisServer) -> None:
    one, other = (RedisStore(redis_server.url(prefix=p)) for p in ("one", "other"))
    one.create("k", b"x", in_an_hour())
    assert other.load("k") is None
    assert other.delete("k") is False
    assert one.load("k")
    one.close()
    other.close()


def test_a_version_of_all_bits_is_exact(store: RedisStore, raw: Any) -> None:
    store.create("k", b"x", in_an_hour())
    highest = 2**53 + 1
    raw.hset(name_of(store, "k"), "n", highest)
    assert store.replace("k", b"y", highest - 1, in_an_hour()) is False
    assert store.replace("k", b"y", highest, in_an_hour()) is True
    assert store.version("k") == highest + 1


# --- bad records


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw, name: raw.set(name, "a string"),
        lambda raw, name: raw.rpush(name, "a", "list"),
        lambda raw, name: raw.hset(name, mapping={"some": "hash"}),
        lambda raw, name: raw.hset(name, mapping={"v": "x", "n": "7"}),
        lambda raw, name: raw.hset(name, mapping={"v": "x", "n": "7", "e": "soon"}),
        lambda raw, name: raw.hset(name, mapping={"v": "x", "n": "7", "e": "nan"}),
        lambda raw, name: raw.hset(name, mapping={"v": "x", "e": "9e9"}),
    ],
)
def test_what_is_no_record_is_a_miss_and_makes_room(spoil, store: RedisStore, raw: Any) -> None:
    spoil(raw, name_of(store, "k"))
    assert store.load("k") is None
    assert store.version("k") is None
    assert store.replace("k", b"y", 7, in_an_hour()) is False
    assert store.extend("k", in_an_hour()) is False
    assert store.delete("k", 7) is False
    assert store.clear_expired() == 0
    assert store.create("k", b"good", in_an_hour()) is True
    record = store.load("k")
    assert record is not None
    assert record.value == b"good"


@pytest.mark.parametrize("version", ["", "seven", "-7", "7.5", "9" * 400])
def test_a_version_that_is_none_is_a_miss(version: str, store: RedisStore, raw: Any) -> None:
    raw.hset(name_of(store, "k"), mapping={"v": "x", "n": version, "e": "9e9"})
    assert store.load("k") is None
    assert store.version("k") is None


def test_a_record_without_its_value_is_a_miss(store: RedisStore, raw: Any) -> None:
    store.create("k", b"x", in_an_hour())
    raw.hdel(name_of(store, "k"), "v")
    assert store.load("k") is None


def test_a_huge_value_is_not_even_fetched(store: RedisStore, raw: Any) -> None:
    store.create("k", b"x" * 2 * 1024 * 1024, in_an_hour())
    assert store.load("k") is not None
    raw.hset(name_of(store, "k"), "v", b"x" * (2 * 1024 * 1024 + 1))
    assert store.load("k") is None


# --- connections that break, servers that stop


def test_a_dropped_connection_is_not_noticed(store: RedisStore, raw: Any) -> None:
    store.create("k", b"0", in_an_hour())
    for number in range(1, 5):
        raw.client_kill_filter(_type="normal", skipme=True)
        record = store.load("k")
        assert record is not None
        raw.client_kill_filter(_type="normal", skipme=True)
        assert store.replace("k", b"%d" % number, record.version, in_an_hour())


class LosesAnswers:
    """In the place of redis-py's client: the server does what it is asked, and the answer is
    lost."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.lost = 0

    def evalsha(self, *arguments: Any) -> Any:
        from redis.exceptions import ConnectionError as Dropped

        answer = self._client.evalsha(*arguments)
        if self.lost == 0:
            self.lost = 1
            raise Dropped("Connection closed by server.")
        return answer

    def eval(self, *arguments: Any) -> Any:
        return self._client.eval(*arguments)


def losing(store: RedisStore) -> None:
    with store._clients.client() as client:
        store._clients._process().client = LosesAnswers(client)


@pytest.mark.parametrize("ask", ["create", "replace", "extend", "load", "version"])
def test_a_call_whose_answer_was_lost_is_repeated_and_done_once(
    ask: str, store: RedisStore
) -> None:
    if ask != "create":
        store.create("k", b"one", in_an_hour())
        version = store.version("k")
        assert version is not None
        store.replace("k", b"two", version, in_an_hour())  # all scripts are known by now
        store.extend("k", in_an_hour())
    else:
        store.create("other", b"x", in_an_hour())
    before = store.load("k")
    losing(store)
    if before is None:
        assert store.create("k", b"one", in_an_hour()) is True
        assert store.create("k", b"one", in_an_hour()) is False, "somebody else's, by its version"
    elif ask == "replace":
        assert store.replace("k", b"three", before.version, in_an_hour()) is True
        assert store.version("k") == before.version + 1
    elif ask == "extend":
        assert store.extend("k", in_an_hour()) is True
    elif ask == "load":
        assert store.load("k") == before
    else:
        assert store.version("k") == before.version


def test_a_stopped_server_is_told_at_once_and_found_again_without_its_records(
    server: RedisServer,
) -> None:
    store = RedisStore(server.url())
    store.create("k", b"x", in_an_hour())
    server.stop()
    began = time.monotonic()
    message = unavailable(store)
    assert time.monotonic() - began < PATIENCE
    assert server.address in message
    for call in (
        lambda: store.load("k"),
        lambda: store.version("k"),
        lambda: store.replace("k", b"", 1, 9e9),
        lambda: store.extend("k", 9e9),
        lambda: store.delete("k"),
        store.clear_expired,
    ):
        with pytest.raises(StoreUnavailable):
            call()
    server.start()
    assert store.load("k") is None
    assert store.create("k", b"x", in_an_hour()) is True
    store.close()


def test_a_server_that_is_restarted_under_load_gives_no_wrong_answer(server: RedisServer) -> None:
    """Each thread counts up in a record of its own; what it reads is what it wrote, or nothing."""
    store = RedisStore(server.url())
    wrong: list[object] = []
    stop = threading.Event()
    answered = [0] * 4

    def count(number: int) -> None:
        key, value = f"k{number}", 0
        while not stop.is_set():
            try:
                record = store.load(key)
                if record is None:
                    value = 0
                    store.create(key, b"0", in_an_hour())
                elif int(record.value) != value:
                    # A write whose failure was reported may have been done all the same.
                    if int(record.value) != value + 1:
                        wrong.append((number, record.value, value))
                    value = int(record.value)
                elif store.replace(key, b"%d" % (value + 1), record.version, in_an_hour()):
                    value += 1
                answered[number] += 1
            except StoreUnavailable:
                stop.wait(0.005)

    threads = [threading.Thread(target=count, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()

    def until_all_have_got_on() -> None:
        before, deadline = list(answered), time.monotonic() + PATIENCE
        while any(now < then + 20 for now, then in zip(answered, before, strict=True)):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    try:
        for _ in range(3):
            until_all_have_got_on()
            server.stop()
            time.sleep(0.02)
            server.start()
        until_all_have_got_on()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        store.close()
    assert wrong == []


def test_a_server_that_does_not_answer_is_given_up_in_the_set_time(server: RedisServer) -> None:
    store = RedisStore(f"{server.url()}&timeout=0.2")
    store.create("k", b"x", in_an_hour())
    server.command("CLIENT", "PAUSE", 60_000, "ALL")
    try:
        began = time.monotonic()
        assert "did not answer in 0.2 s" in unavailable(store)
        assert time.monotonic() - began < 0.2 * 10, "and not asked twice"
    finally:
        server.restart()
    assert store.create("k", b"x", in_an_hour())
    store.close()


def test_connections_are_bounded_and_a_call_that_gets_none_says_so(server: RedisServer) -> None:
    store = RedisStore(f"{server.url()}&timeout=0.3&max_connections=2")
    store.create("k", b"x", in_an_hour())
    server.command("CLIENT", "PAUSE", 60_000, "ALL")
    messages = at_once(8, lambda _: unavailable(store))
    server.restart()
    assert any("all 2 connections" in str(message) for message in messages)
    assert at_once(8, lambda number: store.create(f"{number}", b"", in_an_hour())) == [True] * 8
    assert connections_of(server) <= 3, "two, and the one that asks"
    store.close()


def test_a_closed_store_has_no_connections(server: RedisServer) -> None:
    store = RedisStore(server.url())
    at_once(4, lambda number: store.create(f"{number}", b"", in_an_hour()))
    store.close()
    deadline = time.monotonic() + PATIENCE
    while connections_of(server) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_uses_connections_of_its_own(store: RedisStore) -> None:
    store.create("k", b"parent", in_an_hour())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # nothing of pytest's may run here
        try:
            record = store.load("k")
            done = store.create("child", b"x", in_an_hour())
            os.write(writer, b"1" if record and record.value == b"parent" and done else b"0")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    assert store.load("child")
    assert store.load("k")


# --- memory


def test_a_full_server_that_evicts_nothing_refuses_writes_and_goes_on_reading(
    server: RedisServer,
) -> None:
    store = RedisStore(server.url())
    store.create("k", b"kept", in_an_hour())
    version = store.version("k")
    assert version is not None
    server.limit_memory(1, "noeviction")
    for _ in range(50):
        try:
            store.create(secrets.token_hex(8), b"x" * 100_000, in_an_hour())
        except StoreUnavailable:
            break
    with pytest.raises(StoreUnavailable, match=r"is full.*maxmemory"):
        store.create("other", b"x" * 100_000, in_an_hour())
    with pytest.raises(StoreUnavailable):
        store.replace("k", b"x" * 100_000, version, in_an_hour())
    record = store.load("k")
    assert record is not None
    assert record.value == b"kept"
    assert store.delete("k") is True, "who signs out makes room"
    server.limit_memory(0, "noeviction")
    assert store.create("k", b"x", in_an_hour())
    store.close()


def test_a_full_server_opens_no_circuit_and_is_read_all_the_while(server: RedisServer) -> None:
    store = CircuitStore(RedisStore(server.url()))
    store.create("k", b"kept", in_an_hour())
    server.limit_memory(1, "noeviction")
    for _ in range(5):
        with pytest.raises(StoreUnavailable, match="is full") as caught:
            store.create("other", b"x" * 100_000, in_an_hour())
        assert caught.value.code == "store_refused"
    record = store.load("k")
    assert record is not None
    assert record.value == b"kept"
    store.close()


def test_a_server_that_cannot_save_to_its_disk_is_read_all_the_while() -> None:
    with RedisServer("save 3600 1", "stop-writes-on-bgsave-error yes") as server:
        store = CircuitStore(RedisStore(server.url()))
        store.create("k", b"kept", in_an_hour())
        # It cannot write into a folder that is gone, whoever runs it.
        shutil.rmtree(server.folder)
        server.command("BGSAVE")
        deadline = time.monotonic() + 30
        while server.command("INFO", "persistence")["rdb_last_bgsave_status"] != "err":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for _ in range(5):
            with pytest.raises(StoreUnavailable, match="cannot save to its disk") as caught:
                store.create("other", b"x", in_an_hour())
            assert caught.value.code == "store_refused"
        record = store.load("k")
        assert record is not None
        assert record.value == b"kept"
        store.close()


def test_an_evicted_record_is_a_miss(server: RedisServer) -> None:
    store = RedisStore(server.url())
    store.create("first", b"x" * 1000, in_an_hour())
    store.load("first")
    server.limit_memory(1_000_000, "allkeys-lru")
    for number in range(400):
        assert store.create(f"{number}", b"x" * 10_000, in_an_hour())
    found = [store.load(f"{number}") for number in range(400)]
    assert None in found
    assert found[-1] is not None
    assert all(record.value == b"x" * 10_000 for record in found if record)
    store.close()


# --- who may come in


def test_a_wrong_password_is_named_as_the_cause(server: RedisServer) -> None:
    server.command("CONFIG", "SET", "requirepass", "right")
    right = RedisStore(server.url().replace("://", "://:right@"))
    assert right.create("k", b"x", in_an_hour())
    right.close()
    wrong = RedisStore(server.url().replace("://", "://:hunter2@"))
    assert "password in TOKEN_STORE" in unavailable(wrong)
    wrong.close()
    none = RedisStore(server.url())
    assert "wants a password" in unavailable(none)
    none.close()


def test_a_user_who_may_use_the_documented_commands_and_keys_only(server: RedisServer) -> None:
    grants = "+@connection +@scripting +@hash +type +del +pexpire +scan".split()
    server.command("ACL", "SETUSER", "site", "on", ">hunter2", "~keyfob:*", *grants)
    store = RedisStore(f"redis://site:hunter2@{server.address}")
    assert store.create("k", b"x", in_an_hour())
    version = store.version("k")
    assert version is not None
    assert store.load("k")
    assert store.replace("k", b"y", version, in_an_hour())
    assert store.extend("k", in_an_hour() + 10)
    assert store.clear_expired() == 0
    assert store.delete("k")
    server.command("ACL", "SETUSER", "site", "-@scripting")
    assert "ACL SETUSER" in unavailable(store)
    store.close()


def test_a_cluster_that_is_taken_for_a_single_server_is_told_how_to_write_it(
    cluster: RedisServer,
) -> None:
    store = RedisStore(cluster.url())
    messages = []
    for number in range(60):
        try:
            store.create(f"{number}", b"x", in_an_hour())
        except StoreUnavailable as error:
            messages.append(str(error))
    assert messages
    assert all("write redis+cluster://" in message for message in messages)
    store.close()


def test_a_cluster_without_slots_is_away_until_it_has_some() -> None:
    with cluster_server() as server:
        store = RedisStore(server.url("redis+cluster"))
        unavailable(store)  # it has no slots yet
        store.close()
        make_cluster(server)
        again = RedisStore(server.url("redis+cluster"))
        assert again.create("k", b"x", in_an_hour())
        again.create("short", b"x", time.time() + 0.001)
        server.stop()
        unavailable(again)
        again.close()


def test_the_records_of_a_cluster_are_on_all_its_servers(cluster: RedisServer) -> None:
    clock = Clock(time.time())
    store = RedisStore(cluster.url("redis+cluster"), clock=clock)
    for number in range(60):
        assert store.create(f"{number}", b"%d" % number, clock.now + 10)
    assert {store.load(f"{number}").value for number in range(60)} == {  # type: ignore[union-attr]
        b"%d" % number for number in range(60)
    }
    assert 0 < cluster.command("DBSIZE") < 60
    clock.advance(10)
    assert store.clear_expired() == 60
    store.close()


def test_a_clusters_user_needs_to_see_the_cluster_besides(cluster: RedisServer) -> None:
    grants = "+@connection +@scripting +@hash +type +del +pexpire +scan +cluster".split()
    with redis.cluster.RedisCluster(host="127.0.0.1", port=cluster.port) as client:
        for node in client.get_primaries():
            node.redis_connection.execute_command(
                "ACL", "SETUSER", "site", "on", ">hunter2", "~keyfob:*", *grants
            )
    store = RedisStore(f"redis+cluster://site:hunter2@{cluster.address}")
    assert store.create("k", b"x", in_an_hour())
    assert store.load("k")
    assert store.clear_expired() == 0
    assert store.delete("k")
    store.close()


def test_a_replica_takes_no_writes_and_says_so(redis_server: RedisServer) -> None:
    with RedisServer(f"replicaof 127.0.0.1 {redis_server.port}") as replica:
        store = RedisStore(replica.url())
        deadline = time.monotonic() + PATIENCE
        while "replica" not in (message := unavailable(store)):
            assert time.monotonic() < deadline, message
            time.sleep(0.02)
        guarded = CircuitStore(store)
        for _ in range(5):
            assert "replica" in unavailable(guarded)
        assert guarded.load("k") is None, "it is read all the while"
        store.close()


def test_the_sentinels_lead_to_the_next_primary(server: RedisServer) -> None:
    with (
        RedisServer(f"replicaof 127.0.0.1 {server.port}") as replica,
        sentinel_of(server) as sentinel,
    ):
        store = RedisStore(sentinel_url(sentinel))
        deadline = time.monotonic() + 2 * PATIENCE
        while not sentinel.command("SENTINEL", "REPLICAS", "keys"):
            assert time.monotonic() < deadline, "the sentinel did not find the replica"
            time.sleep(0.05)
        assert store.create("before", b"x", in_an_hour())
        server.command("WAIT", 1, int(PATIENCE * 1000))
        server.stop()
        while True:
            try:
                assert store.load("before") is not None
                store.create("after", b"x", in_an_hour())
                break
            except StoreUnavailable:
                assert time.monotonic() < deadline, "no failover"
                time.sleep(0.05)
        assert replica.command("ROLE")[0] == b"master"
        store.close()


def test_a_service_that_the_sentinels_do_not_know(redis_server: RedisServer) -> None:
    with sentinel_of(redis_server) as sentinel:
        store = RedisStore(f"redis+sentinel://{sentinel.address}/other")
        assert "+sentinel" in unavailable(store)
        store.close()


def test_a_server_with_tls_is_trusted_by_its_certificate_only(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    port = free_port()
    with RedisServer(
        f"tls-port {port}",
        f"tls-cert-file {certificate}",
        f"tls-key-file {key}",
        "tls-auth-clients no",
    ):
        at = f"rediss://127.0.0.1:{port}"
        for url in (f"{at}?ssl_ca_certs={certificate}", f"{at}?ssl_cert_reqs=none"):
            store = RedisStore(url)
            assert store.create(secrets.token_hex(8), b"x", in_an_hour())
            store.close()
        stranger = RedisStore(at)
        assert "CERTIFICATE_VERIFY_FAILED" in unavailable(stranger)
        stranger.close()
        misnamed = RedisStore(f"rediss://localhost:{port}?ssl_ca_certs={certificate}")
        assert "localhost" in unavailable(misnamed)
        misnamed.close()
        absent = RedisStore(f"{at}?ssl_ca_certs={tmp_path / 'not-there'}")
        unavailable(absent)
        absent.close()


# --- before anything is connected


def test_nothing_is_connected_before_the_first_use() -> None:
    store = open_store(f"redis://:hunter2@127.0.0.1:{free_port()}/1")
    assert "hunter2" not in repr(store)
    store.close()


def test_a_missing_package_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "redis" else find(name)
    )
    with pytest.raises(ConfigurationError, match=r"pip install keyfob\[redis\]") as caught:
        open_store("rediss://cache.example")
    assert caught.value.setting == "TOKEN_STORE"
