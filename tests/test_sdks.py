"""The official SDKs, unmodified, against a running gateway and its demo provider: what users run on their first day, in each dialect
as it is and with another dialect behind it.

`plain` is the demo in the client's own dialect; `via-<dialect>` is the demo spoken to in that dialect, so that all but one are crossings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import jsonschema
import openai
import pytest
from google import genai
from google.genai import errors as google_errors
from google.genai import types
from pydantic import BaseModel

from running import KEY, Running

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")]

BEHIND = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
MODELS = ("plain", *(f"via-{dialect}" for dialect in BEHIND))
SAID = "This is the demo provider of Headgate. You said: Hello there"
PLACE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "days", "unit"],
    "additionalProperties": False,
}
ABOUT = "What the weather will be."


class Recipe(BaseModel):
    title: str
    minutes: int
    steps: list[str]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    models: dict[str, Any] = {"plain": {"targets": ["demo/chat"]}}
    for dialect in BEHIND:
        models[f"via-{dialect}"] = {"targets": ["demo/chat"], "dialect": dialect}
        for fault in ("429", "500", "cut", "malformed", "error-in-200"):
            models[f"{fault}-{dialect}"] = {"targets": [f"demo/fault-{fault}"], "dialect": dialect}
    running = Running(tmp_path_factory.mktemp("demo"), {"models": models})
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ai(demo: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{demo.url}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def claude(demo: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=demo.url, api_key=KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def google(demo: Running) -> Iterator[genai.Client]:
    with genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=demo.url, timeout=20_000)) as client:
        yield client


every_model = pytest.mark.parametrize("model", MODELS)


def valid(arguments: Any) -> bool:
    jsonschema.validate(arguments, PLACE)
    return True


# ------------------------------------------------------------------ all: keys that SDKs make of their own accord


@every_model
def test_an_idempotency_key_of_each_request_does_no_harm(
    ai: openai.OpenAI, claude: anthropic.Anthropic, model: str
) -> None:
    """As releases send it whose client names the header: a request and its retries have one, the next request another."""
    for client in (ai, claude):
        client._idempotency_header = "Idempotency-Key"
    asked: Any = [{"role": "user", "content": "Hello there"}]
    try:
        chats = [ai.chat.completions.with_raw_response.create(model=model, messages=asked) for _ in range(2)]
        assert [chat.headers["x-headgate-cache"] for chat in chats] == ["miss", "miss"]
        assert [chat.parse().choices[0].message.content for chat in chats] == [SAID, SAID]
        told = "".join(
            chunk.choices[0].delta.content or ""
            for chunk in ai.chat.completions.create(model=model, messages=asked, stream=True)
        )
        assert told == SAID
        with claude.messages.stream(model=model, max_tokens=100, messages=asked) as stream:
            assert stream.get_final_text() == SAID
        mine = {"Idempotency-Key": f"mine-{model}"}
        again = [
            ai.chat.completions.with_raw_response.create(model=model, messages=asked, extra_headers=mine)
            for _ in range(2)
        ]
        assert [one.headers["x-headgate-cache"] for one in again] == ["miss", "replayed"]
        assert [one.parse().choices[0].message.content for one in again] == [SAID, SAID]
    finally:
        for client in (ai, claude):
            client._idempotency_header = None


# ------------------------------------------------------------------ openai: chat completions


@every_model
class TestChat:
    def test_text_whole_and_streamed(self, ai: openai.OpenAI, model: str) -> None:
        asked: Any = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello there"}]
        whole = ai.chat.completions.create(model=model, messages=asked)
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == (SAID, "stop")
        with ai.chat.completions.stream(model=model, messages=asked, stream_options={"include_usage": True}) as stream:
            streamed = stream.get_final_completion()
        assert streamed.choices[0].message.content == SAID
        assert whole.usage is not None and streamed.usage is not None
        assert whole.usage.total_tokens == streamed.usage.total_tokens > 10

    def test_no_usage_chunk_unasked(self, ai: openai.OpenAI, model: str) -> None:
        asked: Any = [{"role": "user", "content": "Hello there"}]
        chunks = list(ai.chat.completions.create(model=model, messages=asked, stream=True))
        assert all(chunk.choices and chunk.usage is None for chunk in chunks)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID

    @pytest.mark.parametrize("stream", [False, True])
    def test_tool_loop(self, ai: openai.OpenAI, model: str, stream: bool) -> None:
        function = {"name": "get_weather", "description": ABOUT, "parameters": PLACE}
        tools: Any = [{"type": "function", "function": function}]
        asked: Any = [{"role": "user", "content": "Use get_weather"}]
        if stream:
            with ai.chat.completions.stream(model=model, messages=asked, tools=tools) as events:
                first = events.get_final_completion()
        else:
            first = ai.chat.completions.create(model=model, messages=asked, tools=tools)
        assert first.choices[0].finish_reason == "tool_calls"
        (call,) = first.choices[0].message.tool_calls or ()
        assert call.type == "function" and call.function.name == "get_weather"
        assert valid(json.loads(call.function.arguments))
        asked += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        second = ai.chat.completions.create(model=model, messages=asked, tools=tools)
        assert second.choices[0].message.content == "The tool answered: sunny"

    def test_schema(self, ai: openai.OpenAI, model: str) -> None:
        asked: Any = [{"role": "user", "content": "A recipe"}]
        read = ai.chat.completions.parse(model=model, messages=asked, response_format=Recipe)
        assert isinstance(read.choices[0].message.parsed, Recipe)

    def test_thoughts(self, ai: openai.OpenAI, model: str) -> None:
        asked: Any = [{"role": "user", "content": "Hello there"}]
        answer = ai.chat.completions.create(model=model, messages=asked, reasoning_effort="high")
        told = answer.choices[0].message.model_dump()
        assert told["content"] == SAID
        assert "demo thinks" in told["reasoning_content"]
        assert answer.usage is not None and answer.usage.completion_tokens_details is not None
        assert (answer.usage.completion_tokens_details.reasoning_tokens or 0) > 0


@pytest.mark.parametrize("model", ["plain", "via-openai_chat", "via-gemini"])
def test_two_choices(ai: openai.OpenAI, model: str) -> None:
    asked: Any = [{"role": "user", "content": "Hello there"}]
    whole = ai.chat.completions.create(model=model, messages=asked, n=2)
    with ai.chat.completions.stream(model=model, messages=asked, n=2) as stream:
        streamed = stream.get_final_completion()
    for answer in (whole, streamed):
        assert [choice.message.content for choice in answer.choices] == [SAID, SAID]


def test_azure_client(demo: Running) -> None:
    """The deployment's name is the model's."""
    with openai.AzureOpenAI(azure_endpoint=demo.url, api_version="2024-10-21", api_key=KEY, max_retries=0) as client:
        asked: Any = [{"role": "user", "content": "Hello there"}]
        for model in MODELS:
            answer = client.chat.completions.create(model=model, messages=asked)
            assert answer.choices[0].message.content == SAID


def test_legacy_completions(ai: openai.OpenAI) -> None:
    whole = ai.completions.create(model="demo/chat", prompt="Hello there")
    assert whole.choices[0].text == SAID
    chunks = ai.completions.create(model="demo/chat", prompt="Hello there", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == SAID


def test_openai_models(ai: openai.OpenAI) -> None:
    names = {model.id for model in ai.models.list()}
    assert {"demo/chat", "plain"} <= names
    assert ai.models.retrieve("plain").id == "plain"
    assert ai.models.retrieve("demo/chat").id == "demo/chat"
    with pytest.raises(openai.NotFoundError):
        ai.models.retrieve("nothing")


# ------------------------------------------------------------------ openai: responses


@every_model
class TestResponses:
    def test_text_whole_and_streamed(self, ai: openai.OpenAI, model: str) -> None:
        whole = ai.responses.create(model=model, input="Hello there", instructions="Be short.", store=False)
        assert (whole.output_text, whole.status) == (SAID, "completed")
        with ai.responses.stream(model=model, input="Hello there", store=False) as stream:
            streamed = stream.get_final_response()
        assert streamed.output_text == SAID
        assert whole.usage is not None and whole.usage.total_tokens > 10

    def test_tool_loop(self, ai: openai.OpenAI, model: str) -> None:
        tools: Any = [
            {"type": "function", "name": "get_weather", "description": ABOUT, "parameters": PLACE, "strict": True}
        ]
        asked: Any = [{"role": "user", "content": "Use get_weather"}]
        with ai.responses.stream(model=model, input=asked, tools=tools, store=False) as stream:
            first = stream.get_final_response()
        (call,) = [item for item in first.output if item.type == "function_call"]
        assert valid(json.loads(call.arguments))
        asked += [item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in first.output]
        asked += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
        second = ai.responses.create(model=model, input=asked, tools=tools, store=False)
        assert second.output_text == "The tool answered: sunny"

    def test_schema(self, ai: openai.OpenAI, model: str) -> None:
        read = ai.responses.parse(model=model, input="A recipe", text_format=Recipe, store=False)
        assert isinstance(read.output_parsed, Recipe)

    def test_thoughts(self, ai: openai.OpenAI, model: str) -> None:
        thinking: Any = {"effort": "high", "summary": "auto"}
        answer = ai.responses.create(model=model, input="Hello there", reasoning=thinking, store=False)
        (thought,) = [item for item in answer.output if item.type == "reasoning"]
        assert "demo thinks" in thought.summary[0].text
        assert answer.output_text == SAID


# ------------------------------------------------------------------ anthropic


@every_model
class TestMessages:
    def test_text_whole_and_streamed(self, claude: anthropic.Anthropic, model: str) -> None:
        asked: Any = [{"role": "user", "content": "Hello there"}]
        whole = claude.messages.create(model=model, max_tokens=100, system="Be short.", messages=asked)
        assert [block.text for block in whole.content if block.type == "text"] == [SAID]
        assert whole.stop_reason == "end_turn"
        with claude.messages.stream(model=model, max_tokens=100, messages=asked) as stream:
            assert "".join(stream.text_stream) == SAID
            streamed = stream.get_final_message()
        assert streamed.stop_reason == "end_turn"
        assert streamed.usage.output_tokens == whole.usage.output_tokens > 5
        assert streamed.usage.input_tokens > 3

    @pytest.mark.parametrize("stream", [False, True])
    def test_tool_loop_with_thinking(self, claude: anthropic.Anthropic, model: str, stream: bool) -> None:
        """The thinking block goes back as it came, with its signature."""
        asked: Any = [{"role": "user", "content": "Use get_weather"}]
        rest: Any = {
            "model": model,
            "max_tokens": 4000,
            "tools": [{"name": "get_weather", "description": ABOUT, "input_schema": PLACE}],
            "thinking": {"type": "enabled", "budget_tokens": 2000},
        }
        if stream:
            with claude.messages.stream(messages=asked, **rest) as events:
                first = events.get_final_message()
        else:
            first = claude.messages.create(messages=asked, **rest)
        assert first.stop_reason == "tool_use"
        kinds = [block.type for block in first.content]
        assert kinds == ["thinking", "tool_use"]
        thought, call = first.content
        assert thought.type == "thinking" and "demo thinks" in thought.thinking
        assert call.type == "tool_use" and valid(call.input)
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
        asked += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        second = claude.messages.create(messages=asked, **rest)
        assert [block.text for block in second.content if block.type == "text"] == ["The tool answered: sunny"]

    def test_schema(self, claude: anthropic.Anthropic, model: str) -> None:
        asked: Any = [{"role": "user", "content": "A recipe"}]
        read = claude.messages.parse(model=model, max_tokens=100, messages=asked, output_format=Recipe)
        assert isinstance(read.parsed_output, Recipe)

    def test_count(self, claude: anthropic.Anthropic, model: str) -> None:
        asked: Any = [{"role": "user", "content": "Hello there"}]
        assert claude.messages.count_tokens(model=model, messages=asked).input_tokens > 0


def test_anthropic_models(claude: anthropic.Anthropic) -> None:
    listed = [model.id for model in claude.models.list()]
    assert {"demo/chat", "plain"} <= set(listed)
    assert claude.models.retrieve("plain").id == "plain"


# ------------------------------------------------------------------ google-genai


def get_weather(city: str, days: int) -> str:
    """What the weather will be."""
    assert isinstance(city, str) and isinstance(days, int)
    return "sunny"


@every_model
class TestGemini:
    def test_text_whole_and_streamed(self, google: genai.Client, model: str) -> None:
        config = types.GenerateContentConfig(system_instruction="Be short.")
        whole = google.models.generate_content(model=model, contents="Hello there", config=config)
        assert whole.text == SAID
        chunks = list(google.models.generate_content_stream(model=model, contents="Hello there", config=config))
        assert "".join(chunk.text or "" for chunk in chunks) == SAID
        assert chunks[-1].candidates is not None and chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
        assert whole.usage_metadata is not None and (whole.usage_metadata.total_token_count or 0) > 10

    def test_automatic_function_calling(self, google: genai.Client, model: str) -> None:
        config = types.GenerateContentConfig(tools=[get_weather])
        answer = google.models.generate_content(model=model, contents="Use get_weather", config=config)
        assert answer.text is not None and answer.text.startswith("The tool answered:") and "sunny" in answer.text

    def test_arguments_fit_the_schema(self, google: genai.Client, model: str) -> None:
        declared = types.FunctionDeclaration(name="get_weather", description=ABOUT, parameters_json_schema=PLACE)
        config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
        answer = google.models.generate_content(model=model, contents="Use get_weather", config=config)
        (call,) = answer.function_calls or ()
        assert valid(call.args)

    def test_schema(self, google: genai.Client, model: str) -> None:
        config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Recipe)
        answer = google.models.generate_content(model=model, contents="A recipe", config=config)
        assert isinstance(answer.parsed, Recipe)

    def test_thoughts(self, google: genai.Client, model: str) -> None:
        thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
        config = types.GenerateContentConfig(thinking_config=thinking)
        answer = google.models.generate_content(model=model, contents="Hello there", config=config)
        assert answer.candidates is not None and answer.candidates[0].content is not None
        parts = answer.candidates[0].content.parts or []
        assert any(part.thought and "demo thinks" in (part.text or "") for part in parts)
        assert answer.text == SAID

    def test_count(self, google: genai.Client, model: str) -> None:
        assert (google.models.count_tokens(model=model, contents="Hello there").total_tokens or 0) > 0


@pytest.mark.parametrize("model", ["plain", "via-openai_chat", "via-gemini"])
def test_two_candidates(google: genai.Client, model: str) -> None:
    config = types.GenerateContentConfig(candidate_count=2)
    answer = google.models.generate_content(model=model, contents="Hello there", config=config)
    assert len(answer.candidates or ()) == 2


def test_google_models(google: genai.Client) -> None:
    names = {model.name for model in google.models.list(config={"query_base": True})}
    assert {"models/demo/chat", "models/plain"} <= names
    assert google.models.get(model="plain").name == "models/plain"


# ------------------------------------------------------------------ what goes wrong


def _chat(client: openai.OpenAI, model: str, stream: bool) -> Any:
    asked: Any = [{"role": "user", "content": "Hello there"}]
    answer = client.chat.completions.create(model=model, messages=asked, stream=stream)
    return list(answer) if stream else answer


def _responses(client: openai.OpenAI, model: str, stream: bool) -> Any:
    answer = client.responses.create(model=model, input="Hello there", stream=stream, store=False)
    return list(answer) if stream else answer


def _messages(client: anthropic.Anthropic, model: str, stream: bool) -> Any:
    asked: Any = [{"role": "user", "content": "Hello there"}]
    answer = client.messages.create(model=model, max_tokens=100, messages=asked, stream=stream)
    return list(answer) if stream else answer


def _gemini(client: genai.Client, model: str, stream: bool) -> Any:
    if stream:
        return list(client.models.generate_content_stream(model=model, contents="Hello there"))
    return client.models.generate_content(model=model, contents="Hello there")


ASKS: dict[str, Callable[[Any, str, bool], Any]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic_messages": _messages,
    "gemini": _gemini,
}
LIMITED = (openai.RateLimitError, anthropic.RateLimitError, google_errors.ClientError)
BROKEN = (openai.InternalServerError, anthropic.InternalServerError, google_errors.ServerError)
MISSING = (openai.NotFoundError, anthropic.NotFoundError, google_errors.ClientError)
REFUSED = (openai.AuthenticationError, anthropic.AuthenticationError, google_errors.ClientError)
INSIDE = (openai.APIError, anthropic.APIStatusError, google_errors.APIError)
"""What the SDKs raise for an error inside a stream that began with 200."""


@pytest.fixture
def clients(ai: openai.OpenAI, claude: anthropic.Anthropic, google: genai.Client) -> dict[str, Any]:
    return {"openai_chat": ai, "openai_responses": ai, "anthropic_messages": claude, "gemini": google}


def status_of(error: Any) -> int:
    return int(error.code if isinstance(error, google_errors.APIError) else error.status_code)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("client", ASKS)
class TestFaults:
    def test_limited(self, clients: dict[str, Any], client: str, behind: str, stream: bool) -> None:
        with pytest.raises(LIMITED, match="demo fault") as raised:
            ASKS[client](clients[client], f"429-{behind}", stream)
        assert status_of(raised.value) == 429
        if not isinstance(raised.value, google_errors.APIError):
            assert raised.value.response.headers["retry-after"] == "2"

    def test_broken(self, clients: dict[str, Any], client: str, behind: str, stream: bool) -> None:
        with pytest.raises(BROKEN, match="demo fault") as raised:
            ASKS[client](clients[client], f"500-{behind}", stream)
        assert status_of(raised.value) == 500

    def test_cut(self, clients: dict[str, Any], client: str, behind: str, stream: bool) -> None:
        """A stream that began ends with the dialect's own error; before that there is a status."""
        with pytest.raises(INSIDE if stream else BROKEN):
            heard(ASKS[client](clients[client], f"cut-{behind}", stream))

    def test_malformed(self, clients: dict[str, Any], client: str, behind: str, stream: bool) -> None:
        with pytest.raises(INSIDE if stream else BROKEN):
            heard(ASKS[client](clients[client], f"malformed-{behind}", stream))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("client", "behind"), [(a, b) for a in ASKS for b in BEHIND if a != b])
def test_an_error_told_with_status_200(clients: dict[str, Any], client: str, behind: str, stream: bool) -> None:
    """In a crossing it is an error with a status of its own. (To the same dialect the provider's own document is the answer.)"""
    with pytest.raises(BROKEN, match="demo fault") as raised:
        ASKS[client](clients[client], f"error-in-200-{behind}", stream)
    assert status_of(raised.value) >= 500


def heard(events: Any) -> Any:
    """The Responses client gives an error inside a stream as an event, and raises nothing."""
    last = events[-1] if isinstance(events, list) else events
    if getattr(last, "type", "") in ("error", "response.failed"):
        raise openai.APIError("told inside the stream", None, body=None)  # type: ignore[arg-type]
    return events


@pytest.mark.parametrize("client", ASKS)
class TestRefusals:
    def test_unknown_model(self, clients: dict[str, Any], client: str) -> None:
        with pytest.raises(MISSING, match="nothing-of-the-kind") as raised:
            ASKS[client](clients[client], "nothing-of-the-kind", False)
        assert status_of(raised.value) == 404

    def test_wrong_key(self, demo: Running, client: str) -> None:
        wrong: dict[str, Any] = {
            "openai_chat": lambda: openai.OpenAI(base_url=f"{demo.url}/v1", api_key="sk-hg-wrong", max_retries=0),
            "anthropic_messages": lambda: anthropic.Anthropic(base_url=demo.url, api_key="sk-hg-wrong", max_retries=0),
            "gemini": lambda: genai.Client(api_key="sk-hg-wrong", http_options=types.HttpOptions(base_url=demo.url)),
        }
        wrong["openai_responses"] = wrong["openai_chat"]
        with wrong[client]() as made, pytest.raises(REFUSED) as raised:
            ASKS[client](made, "plain", False)
        assert status_of(raised.value) == 401

    def test_slow_bytes_are_an_answer(self, clients: dict[str, Any], client: str) -> None:
        assert ASKS[client](clients[client], "demo/fault-trickle", False)


@pytest.mark.parametrize("fault", ["stall-before", "stall-after"])
def test_a_silent_provider_meets_the_clients_own_timeout(demo: Running, fault: str) -> None:
    asked: Any = [{"role": "user", "content": "Hello there"}]
    with (
        openai.OpenAI(base_url=f"{demo.url}/v1", api_key=KEY, max_retries=0, timeout=0.5) as client,
        pytest.raises((openai.APITimeoutError, httpx2.ReadTimeout)),
    ):
        list(client.chat.completions.create(model=f"demo/fault-{fault}", messages=asked, stream=True))
