"""Pass-through: by allow-list, in both directions without collecting, and what is held upstream belongs to who made it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import Reply, Upstream
from raw import ask, raw
from running import Running
from test_life import rows

ANNA, BERT = "sk-hg-anna-anna-anna", "sk-hg-bert-bert-bert"
FILE = b'{"id":"file-1","object":"file","bytes":5,"filename":"a.txt","purpose":"batch"}'


@pytest.fixture(scope="module")
def passing(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    keys = [
        {"name": "anna", "key": ANNA, "tenant": "a"},
        {"name": "bert", "key": BERT, "tenant": "b", "models": ["openai/small", "small"]},
    ]
    providers = {
        "openai": {"base_url": f"{upstream.url}/v1", "api_key": "provider-key"},
        "anthropic": {"base_url": f"{upstream.url}/anthropic/v1", "api_key": "anthropic-key"},
        "second": {"type": "mistral", "base_url": f"{upstream.url}/second/v1", "api_key": "second-key"},
        "gemini": {"base_url": f"{upstream.url}/gemini/v1beta", "api_key": "gemini-key"},
    }
    models = {
        "mixed": {"targets": ["anthropic/claude-x", "openai/text-embedding-3-small"]},
        "small": {"targets": ["gemini/text-embedding-004"]},
    }
    server = {"port": 0, "body_timeout": "500ms"}
    prices = [{"model": "openai/free", "input": 0, "output": 0}]
    config = {"providers": providers, "keys": keys, "models": models, "server": server, "prices": prices}
    gateway = Running(tmp_path_factory.mktemp("passing"), config)
    yield gateway
    gateway.stop()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/openai/v1/organization/users"),
        ("POST", "/openai/v1/admin_api_keys"),
        ("DELETE", "/openai/v1/models/gpt-4o"),
        ("GET", "/v1/anything"),
        ("GET", "/anthropic/v1/organizations/api_keys"),
        ("PUT", "/openai/v1/files"),
    ],
)
def test_what_is_not_listed_is_403(method: str, path: str, passing: Running, script: Upstream) -> None:
    assert ask(passing, method, path, key=ANNA).status == 403
    assert script.requests == []


def test_a_refusal_names_the_path_as_it_was_asked_for(passing: Running) -> None:
    def told(path: str) -> str:
        message = ask(passing, "GET", path, key=ANNA).json["error"]["message"]
        assert isinstance(message, str)
        return message

    assert told("/v1/nothing").startswith("GET /v1/nothing is no path of this gateway, and is not among the paths")
    assert told("/openai/v1/nothing").endswith("is not among the paths that are passed through to openai")


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/files/../organization",
        "/openai/v1/files/%2e%2e/users",
        "/openai/v1/files//x",
        "/openai/v1/files/a%2fb",
        "/openai/v1/files/a%00",
        "/openai/v1/files/a%0d%0ax",
        "/openai/v1/files/..;/users",
    ],
)
def test_a_path_in_disguise_is_refused(path: str, passing: Running, script: Upstream) -> None:
    assert ask(passing, "GET", path, key=ANNA).status in (400, 403)
    assert script.requests == []


def test_a_path_goes_up_encoded_as_it_was_matched(passing: Running, script: Upstream) -> None:
    """Decoded, "?" would begin a query, a space end the request line, and letters of other scripts have no place in it. Nothing is sent
    behind a head that announces nothing (RFC 9110 §9.3.1)."""
    script.script(Reply(pieces=[b'{"id": "vs_way"}']))
    ask(passing, "POST", "/openai/v1/vector_stores", {"name": "x"}, key=ANNA)
    script.reset()
    for encoded in ("a%3Fb=c", "a%20b", "a%23b", "%C3%A9"):
        script.script(Reply(pieces=[b"{}"]))
        assert ask(passing, "GET", f"/openai/v1/vector_stores/vs_way/files/{encoded}?limit=2", key=ANNA).status == 200
        assert script.requests[-1].path == f"/v1/vector_stores/vs_way/files/{encoded}?limit=2"
        assert script.requests[-1].header("transfer-encoding") is None


def test_it_is_authenticated(passing: Running, script: Upstream) -> None:
    assert ask(passing, "GET", "/openai/v1/files", key=None).status == 401
    assert ask(passing, "GET", "/openai/v1/files", key="sk-hg-unknown").status == 401
    assert script.requests == []


def test_bytes_pass_up_and_down_and_the_providers_key_is_put_in(passing: Running, script: Upstream) -> None:
    body = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n\x00\xff\x01data\r\n--b--\r\n'
    script.script(Reply(pieces=[FILE]))
    answer = ask(
        passing, "POST", "/openai/v1/files", body, {"content-type": "multipart/form-data; boundary=b"}, key=ANNA
    )
    assert (answer.status, answer.body) == (200, FILE)
    seen = script.requests[0]
    assert (seen.path, seen.body) == ("/v1/files", body)
    assert seen.header("authorization") == "Bearer provider-key"
    assert seen.header("content-type") == "multipart/form-data; boundary=b"
    assert ANNA not in str(seen.headers)


def test_a_held_object_is_the_tenants_own(passing: Running, script: Upstream) -> None:
    """Another tenant's id is 404 in paths, in bodies and in generation; lists are filtered."""
    script.script(Reply(pieces=[FILE.replace(b"file-1", b"file-own")]))
    ask(passing, "POST", "/openai/v1/files", b"x", {"content-type": "multipart/form-data; boundary=b"}, key=ANNA)
    script.reset()
    for key, method, path, body in (
        (BERT, "GET", "/openai/v1/files/file-own", None),
        (BERT, "GET", "/openai/v1/files/file-own/content", None),
        (BERT, "DELETE", "/openai/v1/files/file-own", None),
        (BERT, "POST", "/openai/v1/batches", {"input_file_id": "file-own", "endpoint": "/v1/chat/completions"}),
        (ANNA, "GET", "/openai/v1/files/file-never-seen", None),
    ):
        answer = ask(passing, method, path, body, key=key)
        assert answer.status == 404, (path, answer.body)
    assert script.requests == []
    script.script(Reply(pieces=[b"content"], headers={"content-type": "text/plain"}))
    assert ask(passing, "GET", "/openai/v1/files/file-own/content", key=ANNA).body == b"content"
    listing = {"object": "list", "data": [{"id": "file-own"}, {"id": "file-of-another"}], "has_more": False}
    script.script(Reply(pieces=[json.dumps(listing).encode()]), Reply(pieces=[json.dumps(listing).encode()]))
    assert [item["id"] for item in ask(passing, "GET", "/openai/v1/files", key=ANNA).json["data"]] == ["file-own"]
    assert ask(passing, "GET", "/openai/v1/files", key=BERT).json["data"] == []


def test_what_a_body_names_is_the_tenants_own_wherever_it_stands(passing: Running, script: Upstream) -> None:
    """In resource names, in content that is not as it should be, in requests within a batch: a request that gets through would use
    it."""
    upload = {"content-type": "multipart/form-data; boundary=b"}
    for path, body, made, more in (
        ("/openai/v1/files", b"x", {"id": "file-deep"}, upload),
        ("/openai/v1/containers", {"name": "c"}, {"id": "cntr_deep"}, {}),
        ("/gemini/v1beta/cachedContents", {"model": "models/g"}, {"name": "cachedContents/deep"}, {}),
    ):
        script.script(Reply(pieces=[json.dumps(made).encode()]))
        assert ask(passing, "POST", path, body, more, key=ANNA).status == 200
    script.reset()
    parts = [{"type": "file", "file": {"file_id": "file-deep"}}, {"type": "text", "text": "x", "file": "odd"}]
    asked = {"role": "user", "content": [{"type": "input_file", "file_id": "file-deep"}]}
    inner = {"custom_id": "1", "params": {"model": "small", "messages": [{"content": [{"file_id": "file-deep"}]}]}}
    gemini = {"contents": [{"parts": [{"text": "x"}]}], "cachedContent": "cachedContents/deep"}
    call = {"type": "code_interpreter_call", "id": "ci", "container_id": "cntr_deep", "code": "x"}
    for path, named in (
        ("/v1/chat/completions", {"model": "openai/small", "messages": [{"role": "user", "content": parts}]}),
        (
            "/v1/chat/completions",
            {"model": "openai/small", "messages": [{"role": "user", "content": parts[:1]}, "odd"]},
        ),
        ("/v1/responses", {"model": "openai/small", "input": [call]}),
        ("/v1beta/models/small:generateContent", gemini),
        ("/v1beta/models/small:countTokens", {"generateContentRequest": gemini | {"model": "models/small"}}),
        ("/openai/v1/conversations", {"items": [asked]}),
        ("/openai/v1/images/edits", {"model": "openai/small", "images": [{"file_id": "file-deep"}]}),
        ("/anthropic/v1/messages/batches", {"requests": [inner]}),
    ):
        assert ask(passing, "POST", path, named, key=BERT).status == 404, path
    assert script.requests == []
    script.script(Reply(pieces=[b'{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}']))
    assert ask(passing, "POST", "/v1beta/models/small:generateContent", gemini, key=ANNA).status == 200


def test_a_stored_response_is_the_tenants_own(passing: Running, script: Upstream) -> None:
    stored = {
        "id": "resp_own",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-x",
        "output": [],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    }
    script.script(Reply(pieces=[json.dumps(stored).encode()]))
    assert ask(passing, "POST", "/v1/responses", {"model": "openai/gpt-x", "input": "x"}, key=ANNA).status == 200
    script.reset()
    assert ask(passing, "GET", "/openai/v1/responses/resp_own", key=BERT).status == 404
    body = {"model": "openai/small", "input": "y", "previous_response_id": "resp_own"}
    assert ask(passing, "POST", "/v1/responses", body, key=BERT).status == 404
    assert script.requests == []
    script.script(Reply(pieces=[json.dumps(stored).encode()]), Reply(pieces=[json.dumps(stored).encode()]))
    assert ask(passing, "GET", "/openai/v1/responses/resp_own", key=ANNA).status == 200
    assert ask(passing, "POST", "/v1/responses", body | {"model": "openai/gpt-x"}, key=ANNA).status == 200


def test_state_is_refused_clearly_where_there_is_none(passing: Running, script: Upstream) -> None:
    body = {"model": "anthropic/claude-x", "input": "y", "previous_response_id": "resp_other", "max_output_tokens": 5}
    answer = ask(passing, "POST", "/v1/responses", body, key=ANNA)
    assert (answer.status, answer.json["error"]["code"]) == (400, "state_not_supported")
    assert script.requests == []


def test_a_model_named_in_a_body_obeys_the_keys_allow_list(passing: Running, script: Upstream) -> None:
    embed = {"model": "openai/text-embedding-3-small", "input": "x"}
    assert ask(passing, "POST", "/v1/embeddings", embed, key=BERT).status == 403
    script.script(Reply(pieces=[b'{"object":"list","data":[],"usage":{"prompt_tokens":3,"total_tokens":3}}']))
    answer = ask(passing, "POST", "/v1/embeddings", embed, key=ANNA)
    assert answer.status == 200
    assert json.loads(script.requests[0].body)["model"] == "text-embedding-3-small"


def form(*fields: tuple[str, str]) -> bytes:
    parts = [f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields]
    return ("".join(parts) + "--b--\r\n").encode()


OTHER = b'{"model": "other", "input": "x"}'
FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/openai/v1/embeddings", "application/json; charset=utf-8", OTHER),
        ("/openai/v1/embeddings", "Application/JSON", OTHER),
        ("/openai/v1/embeddings", "text/plain", OTHER),
        ("/openai/v1/embeddings", "", OTHER),
        ("/openai/v1/embeddings", "application/json", b'{"input": "x"}'),
        ("/openai/v1/images/edits", FORM, form(("prompt", "x"))),
        ("/openai/v1/audio/transcriptions", FORM, form(("file", "x"), ("model", "other"))),
        (
            "/openai/v1/audio/transcriptions",
            FORM,
            form(("file", "x"), ("model", "other")).replace(b'"model"', b"model"),
        ),
        ("/openai/v1/batches", "application/json", b'{"endpoint": "/v1/chat/completions"}'),
        ("/gemini/v1beta/models/other:embedContent", "application/json", b'{"content": {}}'),
        ("/gemini/v1beta/models/other:batchGenerateContent", "application/json", b'{"batch": {}}'),
        ("/anthropic/v1/messages/batches", "application/json", b'{"requests": [{"params": {"model": "other"}}]}'),
    ],
)
def test_a_keys_list_of_models_holds_wherever_a_model_is_named(
    path: str, kind: str, body: bytes, passing: Running, script: Upstream
) -> None:
    """Whatever the body calls itself; and where nobody names one, the key must be allowed all that the provider has."""
    answer = ask(passing, "POST", path, body, {"content-type": kind}, key=BERT)
    assert answer.status == 403, answer.body
    assert b"model_not_allowed" in answer.body.lower()
    assert script.requests == []
    script.script(Reply(pieces=[b"{}"]))
    assert ask(passing, "POST", path, body, {"content-type": kind}, key=ANNA).status == 200
    assert script.requests[0].body == body


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"model": "other", "input": "x", "model": "openai/small"}'),
        (FORM, form(("model", "other"), ("model", "openai/small"))),
    ],
)
def test_two_models_are_refused(kind: str, body: bytes, passing: Running, script: Upstream) -> None:
    """The provider might take the one that was not judged."""
    path = "/openai/v1/audio/transcriptions"
    assert ask(passing, "POST", path, body, {"content-type": kind}, key=BERT).status == 400
    assert script.requests == []


def test_a_form_of_very_many_parts_or_without_a_boundary_is_refused(passing: Running, script: Upstream) -> None:
    body = b"--b\r\n\r\nx\r\n" * 1_000_000 + b"--b--\r\n"
    path = "/openai/v1/audio/transcriptions"
    for kind in (FORM, "multipart/form-data", 'multipart/form-data; boundary="é"'):
        assert ask(passing, "POST", path, body, {"content-type": kind}, key=ANNA).status == 400
    assert script.requests == []


def test_an_alias_means_its_target_in_a_form_and_in_a_path(passing: Running, script: Upstream) -> None:
    script.script(Reply(pieces=[b"{}"]), Reply(pieces=[b"{}"]))
    body = form(("file", "\r\n--not it\r\n"), ("model", "openai/small"), ("language", "en"))
    answer = ask(passing, "POST", "/v1/audio/transcriptions", body, {"content-type": FORM}, key=BERT)
    assert (answer.status, script.requests[0].path) == (200, "/v1/audio/transcriptions")
    assert script.requests[0].body == body.replace(b"openai/small", b"small")
    ask(passing, "POST", "/v1beta/models/small:embedContent", {"content": {}}, key=ANNA)
    assert script.requests[1].path == "/gemini/v1beta/models/text-embedding-004:embedContent"


def test_the_record_names_the_target_that_was_called(passing: Running, script: Upstream) -> None:
    """Not the model's first one, whose provider does not offer this path."""
    script.script(Reply(pieces=[b'{"object":"list","data":[],"usage":{"prompt_tokens":3,"total_tokens":3}}']))
    answer = ask(passing, "POST", "/v1/embeddings", {"model": "mixed", "input": "x"}, key=ANNA)
    assert json.loads(script.requests[0].body)["model"] == "text-embedding-3-small"
    named = answer.headers["x-request-id"]
    (attempt,) = passing.wait_for(lambda: rows(passing, "attempts", request_id=named))
    assert (attempt["provider"], attempt["target"]) == ("openai", "text-embedding-3-small")
    (request,) = rows(passing, "requests", id=named)
    assert (request["model"], request["provider"], request["target"]) == ("mixed", "openai", "text-embedding-3-small")


@pytest.mark.parametrize(
    ("model", "told", "charge"),
    [
        ("tts-1", {}, None),  # priced by the character, of which no answer tells
        ("gpt-4o-mini-tts", {}, None),
        ("text-embedding-3-small", {"usage": {"prompt_tokens": 1000}}, 20_000),
        ("free", {}, 0),
    ],
)
def test_what_nobody_told_the_cost_of_is_unknown(
    model: str, told: dict[str, object], charge: int | None, passing: Running, script: Upstream
) -> None:
    """Unknown, and never nothing: but where the price is nothing."""
    script.script(Reply(pieces=[json.dumps({"object": "x"} | told).encode()]))
    path = "/openai/v1/embeddings" if told else "/openai/v1/audio/speech"
    named = ask(passing, "POST", path, {"model": model, "input": "x"}, key=ANNA).headers["x-request-id"]
    (attempt,) = passing.wait_for(lambda: rows(passing, "attempts", request_id=named))
    (request,) = rows(passing, "requests", id=named)
    assert (attempt["cost"], request["charge"]) == (charge, charge)


def test_an_error_that_passes_is_a_failure_and_says_no_key(passing: Running, script: Upstream) -> None:
    """There are servers that repeat the key that they refuse."""
    script.script(Reply(401, pieces=[b'{"error": {"message": "no such key: provider-key"}}']))
    answer = ask(passing, "POST", "/openai/v1/embeddings", {"model": "e", "input": "x"}, key=ANNA)
    assert (answer.status, answer.body) == (401, b'{"error": {"message": "no such key: ***"}}')
    named = answer.headers["x-request-id"]
    (attempt,) = passing.wait_for(lambda: rows(passing, "attempts", request_id=named))
    assert (attempt["outcome"], attempt["status"], attempt["cost"]) == ("failed", 401, 0)
    (request,) = rows(passing, "requests", id=named)
    assert (request["outcome"], request["status"], request["charge"]) == ("failed", 401, 0)


def test_an_upload_that_stops_is_a_408(passing: Running, script: Upstream) -> None:
    """A body that is passed on as it comes has the same bound on its silence; the provider is let go."""
    head = f"POST /openai/v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ANNA}\r\ncontent-length: 99\r\n"
    got = raw(passing, f"{head}content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\n".encode())
    assert got.startswith(b"HTTP/1.1 408"), got
    assert b'"code":"request_timeout"' in got
    assert script.requests == []


def test_who_leaves_is_no_failure(passing: Running, script: Upstream) -> None:
    script.script(Reply(raw=b"", after="hang"))
    body = b'{"model": "openai/text-embedding-3-small", "input": "x"}'
    lines = ["POST /v1/embeddings HTTP/1.1", "host: x", f"authorization: Bearer {ANNA}", "user-agent: who-leaves"]
    lines += ["content-type: application/json", f"content-length: {len(body)}", "", ""]
    with socket.create_connection(("127.0.0.1", passing.port)) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        passing.wait_for(lambda: script.requests)
    (row,) = passing.wait_for(lambda: rows(passing, "requests", user_agent="who-leaves"))
    assert (row["outcome"], row["status"], row["error"]) == ("abandoned", 499, "")


def test_paths_without_a_providers_name_go_where_the_client_belongs(passing: Running, script: Upstream) -> None:
    script.script(Reply(pieces=[b'{"data":[]}']))
    ask(passing, "GET", "/v1/files", headers={"anthropic-version": "2023-06-01"}, key=ANNA)
    assert script.requests[0].path == "/anthropic/v1/files"
    script.script(Reply(pieces=[b'{"data":[]}']), Reply(pieces=[b"{}"]))
    ask(passing, "GET", "/v1/files", key=ANNA)
    assert script.requests[1].path == "/v1/files"  # not the first whose favourite dialect it is
    ask(passing, "GET", f"/v1beta/cachedContents?key={ANNA}", key=None)
    assert script.requests[2].path == "/gemini/v1beta/cachedContents"


def test_an_error_is_told_in_the_clients_dialect(passing: Running) -> None:
    assert ask(passing, "GET", "/v1/files/none", headers={"anthropic-version": "1"}, key=ANNA).json["type"] == "error"
    assert ask(passing, "GET", "/v1beta/cachedContents/none", key=ANNA).json["error"]["status"] == "NOT_FOUND"


def test_it_is_recorded(passing: Running, script: Upstream, tmp_path: Path) -> None:
    script.script(Reply(pieces=[b'{"object":"list","data":[],"usage":{"prompt_tokens":3,"total_tokens":3}}']))
    identity = ask(
        passing, "POST", "/v1/embeddings", {"model": "openai/text-embedding-3-small", "input": "x"}, key=ANNA
    ).headers["x-request-id"]
    record = passing.wait_for(
        lambda: (a := ask(passing, "GET", f"/v1/requests/{identity}", key=ANNA)).status == 200 and a
    ).json
    assert (record["operation"], record["tenant"], record["outcome"]) == ("opaque", "a", "done")
    assert record["attempts"][0]["usage"]["input"] == 3
    assert ask(passing, "GET", f"/v1/requests/{identity}", key=BERT).status == 404
