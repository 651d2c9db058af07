"""Chat traffic through the started product when all is well, and what it refuses: names, keys, paths, bad input."""

import gzip
import hashlib
import json
import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import (
    EXPIRED_KEY,
    KEY,
    MESSAGES,
    NARROW_KEY,
    NODE_KEY,
    RealGateway,
    content_of,
    events_of,
    read_answer,
    running_gateway,
)

pytestmark = pytest.mark.process

MIB = 1024 * 1024
OPENAI_BODY = {"model": "local/ok", "messages": MESSAGES}


@pytest.fixture(scope="module", params=["", "chrome"], ids=["direct", "curl"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("chat"), fingerprint=request.param) as running:
        yield running


def error_of(answer: httpx.Response, status: int) -> dict:
    """The error object of an answer in OpenAI's shape; its four fields are always there."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert answer.headers["x-request-id"]
    return error


class TestAnswers:
    def test_an_answer_comes_whole_and_says_who_gave_it(self, gateway):
        answer = gateway.chat("local/m1")
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"] == "Hello word1 word2 word3 word4"
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-omniroute-provider"] == "local"
        assert answer.headers["x-omniroute-model"] == "m1"
        assert answer.headers["x-omniroute-attempts"] == "1"
        assert answer.headers["x-request-id"]

    def test_a_stream_comes_event_by_event_and_ends_with_done(self, gateway):
        answer = gateway.chat("local/m1", stream=True)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-omniroute-attempts"] == "1"
        assert content_of(answer.content) == "Hello word1 word2 word3 word4"
        assert answer.content.endswith(b"data: [DONE]\n\n")

    def test_events_are_not_held_back_until_the_next_ones_come(self, gateway):
        fields = {"stream": True, "user": json.dumps({"chunks": 4, "gap": 0.12})}
        with gateway.client.stream("POST", "/v1/chat/completions", json=OPENAI_BODY | fields) as answer:
            parts = answer.iter_bytes()
            first = next(part for part in parts if b"Hello" in part)
            record = gateway.seen()[-1]
            assert record.finished_at is None
            assert b"word1" not in first
            assert b"".join(parts).endswith(b"data: [DONE]\n\n")

    def test_only_the_models_name_differs_between_the_callers_bytes_and_the_providers(self, gateway):
        sent = (
            b'{ "temperature" : 1.0e0,\n\t"model":"local/m1" ,"x_unknown":{"model":"keep","a":[1,2.50,"\\u00e9"]},'
            b'"messages":[{"role":"user","content":"say \\"model\\": \\ud83d\\ude00 \xc3\xa9"}],"n":1, "x_big":12345678901234567890 }'
        )
        answer = gateway.post(sent)
        assert answer.status_code == 200, answer.text
        assert gateway.seen()[-1].body == sent.replace(b'"local/m1"', b'"m1"')

    def test_a_stream_that_asks_for_usage_itself_goes_up_with_no_other_change(self, gateway):
        sent = b'{"stream_options":{"include_usage": true},"stream":true,"model":"local/m1","messages":[]}'
        assert gateway.post(sent).status_code == 200
        assert gateway.seen()[-1].body == sent.replace(b"local/m1", b"m1")

    def test_the_providers_answer_reaches_the_caller_byte_for_byte(self, gateway):
        for fields in ({}, {"stream": True, "stream_options": {"include_usage": True}}):
            body = {"messages": MESSAGES, "user": json.dumps({"fake": "split:7"}), **fields}
            direct = httpx.post(
                f"{gateway.fake.base_url}/chat/completions", json={"model": "any-name", **body}, timeout=60
            )
            through = gateway.post(json.dumps({"model": "local/any-name", **body}).encode())
            assert through.content == direct.content
            assert b'"model":"any-name"' in through.content

    def test_the_usage_chunk_is_shown_to_those_who_asked_for_it(self, gateway):
        plain = events_of(gateway.chat(stream=True).content)
        asked = events_of(gateway.chat(stream=True, stream_options={"include_usage": True}).content)
        assert not any(b'"usage"' in event for event in plain)
        assert [event for event in asked if b'"usage"' not in event] == plain
        assert json.loads(asked[-2])["usage"]["completion_tokens"] == 5

    @pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_obfuscation": False}])
    def test_usage_is_asked_for_whatever_the_caller_says_of_it_and_its_other_options_stay(self, gateway, options):
        answer = gateway.chat(stream=True, stream_options=options)
        assert b'"usage"' not in answer.content
        assert gateway.seen()[-1].json()["stream_options"] == {**(options or {}), "include_usage": True}

    @pytest.mark.parametrize("stream", [False, True])
    def test_the_ledger_gets_one_row_with_what_the_provider_counted(self, gateway, stream):
        request_id = gateway.new_id()
        answer = gateway.chat("local/m1", stream=stream, headers={"x-request-id": request_id})
        row = gateway.row(request_id)
        assert (row["input_tokens"], row["output_tokens"], row["is_estimated"]) == (11, 5, 0)
        assert (row["status"], row["state"], row["error"]) == (200, "final", "")
        assert (row["provider"], row["model"], row["requested_model"]) == ("local", "m1", "local/m1")
        assert (row["key_name"], row["is_stream"], row["dialect"]) == ("all", stream, "openai_chat")
        assert [attempt["outcome"] for attempt in row["attempts"]] == ["committed"]
        assert row["bytes_in"] == len(answer.request.content)
        assert row["bytes_out"] == len(answer.content)

    def test_the_admin_api_shows_the_row_to_an_admin_and_to_nobody_else(self, gateway):
        request_id = gateway.new_id()
        gateway.chat("local/m1", headers={"x-request-id": request_id})
        row = gateway.row(request_id)
        logs = gateway.admin.get("/api/usage/logs").json()["logs"]
        shown = next(log for log in logs if log["requestId"] == request_id)
        assert shown["id"] == row["id"]
        assert shown["tokens"]["output"] == 5
        assert gateway.client.get("/api/usage/logs").status_code == 401, "a gateway key is no admin credential"

    def test_the_callers_request_id_comes_back_and_a_hostile_one_does_not(self, gateway):
        answer = gateway.chat(headers={"x-request-id": "mine-42"})
        assert answer.headers["x-request-id"] == "mine-42"
        assert gateway.chat(headers={"x-request-id": "x" * 500}).headers["x-request-id"] != "x" * 500

    def test_tool_calls_come_through(self, gateway):
        whole = gateway.chat("local/tools")
        assert whole.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
        stream = gateway.chat("local/tools", stream=True).content
        assert b"get_weather" in stream
        assert stream.endswith(b"data: [DONE]\n\n")

    def test_a_large_answer_is_whole(self, gateway):
        answer = gateway.chat(f"local/big:{8 * MIB}")
        assert len(answer.json()["choices"][0]["message"]["content"]) == 8 * MIB
        stream = gateway.chat(f"local/big:{4 * MIB}", stream=True).content
        assert set(content_of(stream)) == {"x"}
        assert stream.endswith(b"data: [DONE]\n\n")

    def test_a_large_request_is_whole(self, gateway):
        text = b'\xc3\xa9\\n\\"' * (5 * MIB)
        sent = b'{"model":"local/m1","messages":[{"role":"user","content":"' + text + b'"}]}'
        gateway.post(sent)  # the fake keeps and reads 4 MiB of it only, so what it answers does not count
        record = gateway.seen()[-1]
        assert record.body_size > 28 * MIB
        assert record.body_sha256 == hashlib.sha256(sent.replace(b"local/m1", b"m1", 1)).hexdigest()


class TestHeadersUpstream:
    def test_nothing_of_the_caller_that_is_secret_or_ours_goes_up(self, gateway):
        secrets = {
            "x-api-key": "caller-secret-1",
            "x-goog-api-key": "caller-secret-2",
            "cookie": "session=caller-secret-3",
            "x-forwarded-for": "203.0.113.7",
            "forwarded": "for=203.0.113.7",
            "x-real-ip": "203.0.113.7",
            "proxy-authorization": "Basic caller-secret-4",
            "x-omniroute-no-cache": "1",
            "x-something": "else",
            "accept-encoding": "gzip, br",
        }
        answer = gateway.chat("local/echo-headers", headers=secrets)
        seen = json.loads(answer.json()["choices"][0]["message"]["content"])
        assert seen["authorization"] == f"Bearer {NODE_KEY}"
        assert seen["accept-encoding"] == "identity"
        assert seen["host"] == f"127.0.0.1:{gateway.fake.port}"
        assert seen["content-type"] == "application/json"
        assert not set(seen) & (set(secrets) - {"accept-encoding"})
        text = json.dumps(seen)
        assert "caller-secret" not in text
        assert KEY not in text
        assert "203.0.113.7" not in text

    def test_the_clients_name_and_beta_flags_go_up(self, gateway):
        asked = {"user-agent": "OpenAI/Python 3", "openai-beta": "assistants=v2", "x-stainless-lang": "python"}
        answer = gateway.chat("local/echo-headers", headers=asked)
        seen = json.loads(answer.json()["choices"][0]["message"]["content"])
        assert {name: seen.get(name) for name in asked} == asked


class TestModels:
    def test_what_the_key_may_use_is_listed(self, gateway):
        listed = gateway.client.get("/v1/models").json()
        assert listed["object"] == "list"
        names = {entry["id"] for entry in listed["data"]}
        assert {"one/shared-model", "two/only-here", "always-on", "exact-name", "demo/echo"} <= names
        assert "switched-off" not in names
        assert all(set(entry) == {"id", "object", "created", "owned_by"} for entry in listed["data"])
        narrow = gateway.client.get("/v1/models", headers={"authorization": f"Bearer {NARROW_KEY}"}).json()
        assert not {entry["id"] for entry in narrow["data"]} & {"one/shared-model", "demo/echo"}

    def test_one_model_is_shown_whatever_slashes_its_name_holds(self, gateway):
        assert gateway.client.get("/v1/models/one/vendor/deep/model").json()["id"] == "one/vendor/deep/model"
        assert gateway.client.get("/v1/models/one%2Fvendor%2Fdeep%2Fmodel").json()["id"] == "one/vendor/deep/model"
        error = error_of(gateway.client.get("/v1/models/one/vendor/deep/modle"), 404)
        assert error["code"] == "model_not_found"
        assert "one/vendor/deep/model" in error["message"]

    def test_a_model_whose_name_holds_slashes_is_asked_by_all_of_it(self, gateway):
        assert gateway.chat("one/vendor/deep/model").status_code == 200
        assert gateway.seen()[-1].json()["model"] == "vendor/deep/model"

    def test_a_model_may_have_any_printable_name(self, gateway):
        answer = gateway.chat("local/mödel x/☃ 1")
        assert answer.status_code == 200
        assert gateway.seen()[-1].json()["model"] == "mödel x/☃ 1"
        assert answer.headers["x-omniroute-model"].isascii()
        assert gateway.chat("local/" + "m" * 506).status_code == 200
        assert error_of(gateway.chat("local/" + "m" * 507), 400)["code"] == "invalid_model"

    @pytest.mark.parametrize(
        ("asked", "reached"),
        [
            ("exact-name", "local/m1"),
            ("wild-anything", "local/m1"),
            ("wild-long-name", "local/m2"),
            ("mark-x", "local/m2"),
            ("only-here", "two/only-here"),
            ("demo/echo", "demo/echo"),
        ],
    )
    def test_a_name_stands_for_a_model(self, gateway, asked, reached):
        answer = gateway.chat(asked)
        assert answer.status_code == 200, answer.text
        assert f"{answer.headers['x-omniroute-provider']}/{answer.headers['x-omniroute-model']}" == reached

    def test_a_name_that_several_providers_offer_is_refused_with_the_choices(self, gateway):
        error = error_of(gateway.chat("shared-model"), 400)
        assert error["code"] == "ambiguous_model"
        assert "one/shared-model" in error["message"]
        assert "two/shared-model" in error["message"]

    def test_an_unknown_name_is_404_with_near_names(self, gateway):
        error = error_of(gateway.chat("only-heer"), 404)
        assert (error["code"], error["param"]) == ("model_not_found", "model")
        assert "two/only-here" in error["message"]
        assert error_of(gateway.chat("mark-xy"), 404)["code"] == "model_not_found", "`?` is one character"

    def test_a_provider_with_no_connection_is_named(self, gateway):
        assert "unconnected" in error_of(gateway.chat("unconnected/m1"), 404)["message"]

    def test_a_combo_goes_on_to_its_next_model(self, gateway):
        for stream in (False, True):
            answer = gateway.chat("always-on", stream=stream)
            assert answer.status_code == 200
            assert answer.headers["x-omniroute-model"] == "m2"
            assert answer.headers["x-omniroute-attempts"] == "2"

    def test_a_combo_that_is_switched_off_is_refused_by_name(self, gateway):
        assert error_of(gateway.chat("switched-off"), 403)["code"] == "combo_disabled"


class TestPinnedProvider:
    def test_the_prefix_may_be_there_or_not(self, gateway):
        for name in ("local/m1", "m1"):
            answer = gateway.post(
                json.dumps(OPENAI_BODY | {"model": name}).encode(), "/v1/providers/local/chat/completions"
            )
            assert answer.status_code == 200, answer.text
            assert gateway.seen()[-1].json()["model"] == "m1"

    def test_a_foreign_prefix_and_an_unknown_provider_are_400(self, gateway):
        foreign = gateway.post(
            json.dumps(OPENAI_BODY | {"model": "one/shared-model"}).encode(), "/v1/providers/local/chat/completions"
        )
        assert error_of(foreign, 400)["code"] == "provider_mismatch"
        unknown = gateway.post(json.dumps(OPENAI_BODY).encode(), "/v1/providers/nobody/chat/completions")
        assert error_of(unknown, 400)["code"] == "unknown_provider"


class TestKeys:
    def test_a_missing_and_a_wrong_key_are_401(self, gateway):
        bare = httpx.post(f"{gateway.url}/v1/chat/completions", json=OPENAI_BODY, timeout=60)
        error = error_of(bare, 401)
        assert (error["type"], error["code"]) == ("authentication_error", "missing_api_key")
        assert error_of(gateway.chat(key="sk-or-nobody-has-this"), 401)["code"] == "invalid_api_key"

    def test_a_call_without_a_valid_key_is_a_count_and_no_row(self, gateway):
        request_id = gateway.new_id()
        time.sleep(0.6)  # workers flush every 0.25 s
        before = refusals(gateway)
        for _ in range(3):
            gateway.chat(key="sk-or-nobody-has-this", headers={"x-request-id": request_id})
        wait_for(lambda: refusals(gateway) == before + 3, 3)
        gateway.chat(headers={"x-request-id": request_id + "-after"})
        gateway.row(request_id + "-after")
        assert gateway.rows(request_id) == []

    @pytest.mark.parametrize("name", ["authorization", "x-api-key", "x-goog-api-key"])
    def test_a_key_is_read_from_each_of_its_places(self, gateway, name):
        value = f"Bearer {KEY}" if name == "authorization" else KEY
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=OPENAI_BODY, headers={name: value}, timeout=60)
        assert answer.status_code == 200

    def test_a_key_in_the_query_is_read_on_gemini_paths_only(self, gateway):
        answer = httpx.post(f"{gateway.url}/v1/chat/completions?key={KEY}", json=OPENAI_BODY, timeout=60)
        assert answer.status_code == 401

    def test_an_expired_key_is_401_and_says_why(self, gateway):
        assert error_of(gateway.chat(key=EXPIRED_KEY), 401)["code"] == "expired_api_key"

    def test_a_key_longer_than_any_is_401(self, gateway):
        assert gateway.chat(key="k" * 513).status_code == 401
        assert gateway.chat(key="k" * 5000).status_code == 401

    def test_a_key_may_use_its_models_only(self, gateway):
        assert gateway.chat("local/m1", key=NARROW_KEY).status_code == 200
        error = error_of(gateway.chat("two/only-here", key=NARROW_KEY), 403)
        assert (error["type"], error["code"]) == ("permission_error", "model_not_allowed")

    def test_a_key_works_once_it_is_made_and_is_refused_at_once_when_deleted(self, gateway):
        made = gateway.admin.post("/api/keys", json={"name": "short-lived"}).json()
        for _ in range(8):
            assert gateway.chat(key=made["key"]).status_code == 200, "both workers know it"
        assert gateway.admin.delete(f"/api/keys/{made['id']}").status_code == 200
        for _ in range(8):
            assert error_of(gateway.chat(key=made["key"]), 401)["code"] == "invalid_api_key"

    def test_a_change_of_a_key_holds_from_the_next_request_on(self, gateway):
        made = gateway.admin.post("/api/keys", json={"name": "changing"}).json()
        assert gateway.chat("local/m1", key=made["key"]).status_code == 200
        gateway.admin.patch(f"/api/keys/{made['id']}", json={"allowedModels": ["two/*"]}).raise_for_status()
        for _ in range(8):
            assert gateway.chat("local/m1", key=made["key"]).status_code == 403


class TestPaths:
    @pytest.mark.parametrize("path", ["/v1/v1/chat/completions", "/api/v1/chat/completions", "/chat/completions"])
    def test_an_alias_of_the_chat_path_serves_chat(self, gateway, path):
        assert gateway.post(json.dumps(OPENAI_BODY).encode(), path).status_code == 200

    @pytest.mark.parametrize("path", ["/v1/v1/models", "/api/v1/models", "/models", "/v1"])
    def test_an_alias_of_the_list_serves_the_list(self, gateway, path):
        assert gateway.client.get(path).json()["object"] == "list"

    def test_head_answers_with_the_length_and_no_body(self, gateway):
        length = gateway.client.get("/v1/models").headers["content-length"]
        answer = gateway.client.head("/v1/models")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == length
        assert gateway.client.head("/healthz").status_code == 200

    def test_options_answers_a_browser(self, gateway):
        answer = httpx.request("OPTIONS", f"{gateway.url}/v1/chat/completions", headers={"origin": "http://a.example"})
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in answer.headers

    def test_pages_of_other_sites_may_call_the_model_paths_only(self, gateway):
        origin = {"origin": "http://a.example"}
        assert gateway.client.get("/v1/models", headers=origin).headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-origin" not in gateway.admin.get("/api/monitoring/health", headers=origin).headers

    def test_a_websocket_upgrade_is_a_plain_426(self, gateway):
        for path in ("/v1/responses", "/v1/chat/completions"):
            with gateway.raw() as sock:
                sock.sendall(
                    f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nConnection: Upgrade\r\n"
                    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
                )
                answer = read_answer(sock, lambda data: b"\r\n\r\n" in data, 3)
                assert answer.startswith(b"HTTP/1.1 426"), (path, answer)

    @pytest.mark.parametrize(
        "path",
        ["/v1/embeddings", "/v1/images/generations", "/v1/audio/transcriptions", "/v1/audio/speech", "/v1/moderations",
         "/v1/rerank", "/v1/providers/local/embeddings", "/v1/providers/local/images/generations"],
    )  # fmt: skip
    def test_what_comes_later_is_501(self, gateway, path):
        assert error_of(gateway.post(b"{}", path), 501)["code"] == "not_implemented"
        embedding = gateway.post(b"{}", "/v1beta/models/m1:embedContent")
        assert (embedding.status_code, embedding.json()["error"]["status"]) == (501, "UNIMPLEMENTED")

    @pytest.mark.parametrize("path", ["/v1/responses", "/codex/responses", "/responses"])
    def test_a_bad_request_is_400_in_openais_shape(self, gateway, path):
        assert error_of(gateway.post(b"{}", path), 400)["param"] == "model"

    @pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/v1/messages"])
    def test_a_bad_request_is_400_in_anthropics_shape(self, gateway, path):
        answer = gateway.post(b"{}", path)
        assert answer.status_code == 400
        assert answer.json()["type"] == "error"
        assert answer.json()["error"]["type"] == "invalid_request_error"

    @pytest.mark.parametrize(
        "path",
        [
            "/v1beta/models/local/m1:generateContent",
            "/v1beta/models/local/m1:streamGenerateContent?alt=sse",
            "/v1beta/models/local/m1:countTokens",
            "/v1/models/local/m1:generateContent",
            "/v1beta/local/m1:generateContent",
        ],
    )
    def test_a_bad_request_is_400_in_geminis_shape(self, gateway, path):
        answer = gateway.post(b"[", path)
        assert answer.status_code == 400
        assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"

    @pytest.mark.parametrize("path", ["/v1/api/chat", "/api/chat"])
    def test_a_bad_request_is_400_in_ollamas_shape(self, gateway, path):
        answer = gateway.post(b"{}", path)
        assert answer.status_code == 400
        assert isinstance(answer.json()["error"], str)

    def test_each_dialect_has_its_list_of_models(self, gateway):
        def ids(path: str, name: str, **headers: str) -> list[str]:
            body = gateway.client.get(path, headers=headers).json()
            return [entry[name] for entry in body.get("models") or body["data"]]

        assert "one/shared-model" in ids("/v1/models", "id")
        assert "one/shared-model" in ids("/v1/models", "id", **{"anthropic-version": "2023-06-01"})
        assert "models/one/shared-model" in ids("/v1beta/models", "name")
        assert "one/shared-model" in ids("/api/tags", "model")
        assert gateway.client.get("/api/version").json()["version"]

    def test_an_unknown_path_is_404_in_the_dialect_of_its_area(self, gateway):
        for path in (
            "/v1/nothing",
            "/v1/chat/completions/",
            "/v1/chat%2Fcompletions",
            "/v1/../api/keys",
            "/v1/%2e%2e/api/keys",
            "/api/v1/../keys",
            "/api/v1/nothing",
            "/v1/v1",
        ):
            with gateway.raw() as sock:
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                answer = read_answer(sock)
                assert answer.startswith(b"HTTP/1.1 404"), (path, answer)
                assert b'"error":{' in answer, (path, answer)
                assert b'"code":"unknown_path"' in answer, (path, answer)
        gemini = gateway.client.get("/v1beta/nothing")
        assert (gemini.status_code, gemini.json()["error"]["code"]) == (404, 404)
        assert gemini.json()["error"]["status"] == "NOT_FOUND"

    def test_another_method_is_405(self, gateway):
        assert error_of(gateway.client.get("/v1/chat/completions"), 405)["code"] == "method_not_allowed"
        assert gateway.client.delete("/v1/models").status_code == 405

    def test_the_dashboards_paths_reach_the_admin_process(self, gateway):
        assert gateway.admin.get("/api/monitoring/health").status_code == 200
        assert httpx.get(f"{gateway.url}/api/settings", timeout=60).status_code == 401
        assert httpx.get(f"{gateway.url}/", timeout=60).headers["location"].startswith("dashboard/")

    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/monitoring/health", "/"])
    def test_a_foreign_host_is_403_on_loopback(self, gateway, path):
        answer = gateway.client.get(path, headers={"host": "evil.example"})
        assert answer.status_code == 403
        assert gateway.chat(headers={"host": "localhost:1"}).status_code == 200


class TestBadInput:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "invalid_json"),
            (b"{", "invalid_json"),
            (b'{"model":"local/ok","messages":[]', "invalid_json"),
            (b'{"model":"local/ok","messages":[]} trailing', "invalid_json"),
            (b'{"model":"local/ok","messages":[],}', "invalid_json"),
            (b"[]", "invalid_request_body"),
            (b'"text"', "invalid_request_body"),
            (b"null", "invalid_request_body"),
            (b'{"messages":[]}', "missing_model"),
            (b'{"model":null,"messages":[]}', "missing_model"),
            (b'{"model":17,"messages":[]}', "invalid_model"),
            (b'{"model":["local/ok"],"messages":[]}', "invalid_model"),
            (b'{"model":"","messages":[]}', "invalid_model"),
            (b'{"model":"a\\u0000b","messages":[]}', "invalid_model"),
            (b'{"model":"local/ok"}', "missing_messages"),
            (b'{"model":"local/ok","messages":"hi"}', "invalid_messages"),
            (b'{"model":"local/ok","messages":[],"stream":"yes"}', "invalid_stream"),
            (b'{"model":"local/ok","messages":[],"x":NaN}', "invalid_json"),
            (b'{"model":"local/ok","messages":[],"x":\xff}', "invalid_json"),
            (b'{"model":"local/\xff\xfe","messages":[]}', "invalid_json"),
            (b'{"model":"local/ok\\ud800","messages":[]}', "invalid_json"),
            (b'\xef\xbb\xbf{"model":"local/ok","messages":[]}', "invalid_json"),
            (b'{"model":"local/ok","messages":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "invalid_json"),
            (b"[" * 10_000 + b"]" * 10_000, "invalid_request_body"),
        ],
    )
    def test_a_body_that_cannot_be_meant_is_400_and_says_what_is_wrong(self, gateway, body, code):
        mark = gateway.mark
        error = error_of(gateway.post(body), 400)
        assert (error["type"], error["code"]) == ("invalid_request_error", code), error
        assert error["message"]
        assert gateway.seen(mark) == []

    def test_a_refused_request_with_a_valid_key_leaves_its_row(self, gateway):
        request_id = gateway.new_id()
        gateway.post(b'{"model":"nobody/knows","messages":[]}', x_request_id=request_id)
        row = gateway.row(request_id)
        assert (row["status"], row["error"], row["input_tokens"]) == (404, "model_not_found", 0)

    def test_two_models_in_one_body_are_one_model_for_us_and_for_the_provider(self, gateway):
        answer = gateway.post(b'{"model":"local/m1","messages":[],"model":"local/m2"}')
        assert answer.headers["x-omniroute-model"] == "m2"
        assert gateway.seen()[-1].body == b'{"model":"m2","messages":[],"model":"m2"}'

    def test_a_lone_surrogate_is_refused_since_no_text_holds_one(self, gateway):
        sent = b'{"model":"local/ok","messages":[{"role":"user","content":"\\ud800"}]}'
        assert error_of(gateway.post(sent), 400)["code"] == "invalid_json"

    def test_a_body_beyond_32_mib_is_413_and_the_answer_arrives(self, gateway):
        body = b'{"model":"local/ok","messages":["' + b"x" * (33 * MIB) + b'"]}'
        assert error_of(gateway.post(body), 413)["code"] == "request_too_large"

        def parts() -> Iterator[bytes]:
            for start in range(0, len(body), MIB):
                yield body[start : start + MIB]

        chunked = gateway.client.post("/v1/chat/completions", content=parts())
        assert error_of(chunked, 413)["code"] == "request_too_large"
        assert gateway.chat().status_code == 200

    @pytest.mark.parametrize(("key", "length", "status"), [("sk-or-wrong", MIB, 401), (KEY, 40 * MIB, 413)])
    def test_who_is_refused_hears_of_it_before_all_is_sent_and_the_connection_serves_on(
        self, gateway, key, length, status
    ):
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Length: "
        )
        with gateway.raw() as sock:
            sock.sendall(f"{head}{length}\r\n\r\n0123456789".encode())
            answer = read_answer(sock, until=lambda data: data.endswith(b"}"), limit_s=8)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
            sock.sendall(bytes(length - 10))
            body = json.dumps(OPENAI_BODY).encode()
            sock.sendall(head.replace(key, KEY).encode() + b"%d\r\n\r\n%b" % (len(body), body))
            answer = read_answer(sock, until=lambda data: data.endswith(b"}"), limit_s=8)
            assert answer.startswith(b"HTTP/1.1 200 "), answer

    def test_a_body_that_only_claims_to_be_large_is_413(self, gateway):
        with gateway.raw() as sock:
            sock.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
                f"Content-Length: {40 * MIB}\r\n\r\n{{".encode()
            )
            sock.shutdown(socket.SHUT_WR)
            answer = read_answer(sock, limit_s=13)
        assert answer.startswith(b"HTTP/1.1 413"), answer

    def test_a_compressed_body_is_415(self, gateway):
        packed = gzip.compress(json.dumps(OPENAI_BODY).encode())
        error = error_of(gateway.post(packed, content_encoding="gzip"), 415)
        assert error["code"] == "unsupported_content_encoding"

    def test_a_caller_that_leaves_in_the_middle_of_its_body_disturbs_nobody(self, gateway):
        mark = gateway.mark
        with gateway.raw() as sock:
            sock.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
                'Content-Length: 1000\r\n\r\n{"model":"local/m1"'.encode()
            )
        assert gateway.chat().status_code == 200
        assert len(gateway.seen(mark)) == 1

    def test_a_caller_that_waits_for_a_go_ahead_gets_it(self, gateway):
        body = json.dumps(OPENAI_BODY).encode()
        with gateway.raw() as sock:
            sock.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
                f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            )
            assert read_answer(sock, lambda data: b"\r\n\r\n" in data).startswith(b"HTTP/1.1 100")
            sock.sendall(body)
            assert read_answer(sock, lambda data: b'"usage"' in data).startswith(b"HTTP/1.1 200")

    def test_a_caller_that_waits_for_a_go_ahead_and_is_refused_need_not_send(self, gateway):
        with gateway.raw() as sock:
            sock.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-or-wrong\r\n"
                b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n"
            )
            assert read_answer(sock, lambda data: data.endswith(b"}")).startswith(b"HTTP/1.1 401")

    def test_requests_sent_in_one_go_are_answered_one_after_the_other(self, gateway):
        body = json.dumps(OPENAI_BODY).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        with gateway.raw() as sock:
            sock.sendall(request * 3)
            assert read_answer(sock, lambda data: data.count(b'"usage"') == 3).count(b"HTTP/1.1 200") == 3

    def test_no_name_that_a_caller_sends_becomes_a_label_of_a_metric(self, gateway):
        for name in ("label-of-my-own/x", "local/label-of-my-own", "label-of-my-own"):
            gateway.chat(name, headers={"x-request-id": "label-of-my-own"})
        gateway.client.get("/v1/label-of-my-own")
        gateway.client.get("/label-of-my-own")
        time.sleep(0.6)  # workers flush every 0.25 s
        assert not [name for name in gateway.product.metrics() if "label-of-my-own" in name]

    def test_no_secret_and_no_prompt_is_in_the_log(self, gateway):
        gateway.chat("nobody/x", messages=[{"role": "user", "content": "a very private prompt"}])
        gateway.chat("local/status:500", messages=[{"role": "user", "content": "a very private prompt"}])
        wait_for(lambda: "request_failed" in gateway.product.errors, 2)
        text = gateway.product.errors + gateway.product.output
        for secret in (KEY, NODE_KEY, "a very private prompt"):
            assert not re.search(re.escape(secret), text)


def refusals(gateway: RealGateway) -> float:
    """How many keys were refused, by the metrics."""
    found = gateway.product.metrics().items()
    return sum(value for name, value in found if name.startswith("omniroute_auth_refusals_total"))


def test_where_nothing_is_traced_the_callers_own_place_in_a_trace_passes_on(gateway: RealGateway) -> None:
    parent, mark = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", gateway.mark
    assert gateway.chat("local/ok", headers={"traceparent": parent}).status_code == 200
    assert gateway.chat("local/ok").status_code == 200
    first, second = (dict(one.headers) for one in gateway.seen(mark))
    assert first["traceparent"] == parent
    assert "traceparent" not in second
