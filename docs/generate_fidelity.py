"""Writes docs/fidelity.md: what each crossing carries and what it loses, asked of the code that crosses.

For each dialect a request that uses everything its API has is written in every other dialect; the losses listed by that code are
the table. `python docs/generate_fidelity.py`; a test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from headgate.app import DIALECTS
from headgate.dialects.base import Target
from headgate.model.events import Stop

TARGET = Path(__file__).with_name("fidelity.md")
NAMES = {
    "openai_chat": "Chat Completions",
    "openai_responses": "Responses",
    "anthropic_messages": "Anthropic Messages",
    "gemini": "Gemini",
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEA"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}

EVERYTHING: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "Look"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
                    {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "I should look it up.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
            {"role": "assistant", "refusal": "No.", "content": None},
            {"role": "user", "content": "Go on"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "d", "parameters": SCHEMA, "strict": True},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "out", "schema": SCHEMA, "strict": True}},
        "max_completion_tokens": 500,
        "temperature": 0.5,
        "top_p": 0.9,
        "n": 2,
        "stop": ["END"],
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.1,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "low",
        "verbosity": "low",
        "user": "u1",
        "metadata": {"k": "v"},
        "service_tier": "auto",
        "store": True,
        "prediction": {"type": "content", "content": "x"},
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "wav"},
        "prompt_cache_key": "pk",
        "safety_identifier": "s1",
        "web_search_options": {"search_context_size": "low"},
    },
    "openai_responses": {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                ],
            },
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Thinking."}],
                "encrypted_content": "e",
            },
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Rome"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "patch", "input": "free text"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
            {"role": "user", "content": "Go on"},
        ],
        "tools": [
            {"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA, "strict": True},
            {"type": "custom", "name": "patch", "description": "d"},
            {"type": "web_search"},
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "text": {
            "format": {"type": "json_schema", "name": "out", "schema": SCHEMA, "strict": True},
            "verbosity": "low",
        },
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 500,
        "max_tool_calls": 3,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_logprobs": 2,
        "metadata": {"k": "v"},
        "service_tier": "auto",
        "store": False,
        "truncation": "auto",
        "user": "u1",
        "prompt_cache_key": "pk",
        "safety_identifier": "s1",
    },
    "anthropic_messages": {
        "model": "m",
        "max_tokens": 2000,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    {
                        "type": "document",
                        "title": "A",
                        "citations": {"enabled": True},
                        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Thinking.", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "cmVk"},
                    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "broken"},
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                        ],
                    },
                    {"type": "text", "text": "Go on"},
                ],
            },
        ],
        "tools": [
            {"name": "weather", "description": "d", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "service_tier": "auto",
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "Look"},
                    {"inlineData": {"mimeType": "image/png", "data": PNG}},
                    {"inlineData": {"mimeType": "application/pdf", "data": PDF}},
                    {"inlineData": {"mimeType": "audio/wav", "data": WAV}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "Thinking.", "thought": True},
                    {"functionCall": {"name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": "c2ln"},
                ],
            },
            {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"sky": "sunny"}}}]},
            {
                "role": "model",
                "parts": [
                    {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
                    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                ],
            },
            {"role": "user", "parts": [{"text": "Go on"}]},
        ],
        "tools": [
            {"functionDeclarations": [{"name": "weather", "description": "d", "parametersJsonSchema": SCHEMA}]},
            {"googleSearch": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
        "generationConfig": {
            "maxOutputTokens": 500,
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 40,
            "candidateCount": 2,
            "seed": 7,
            "stopSequences": ["END"],
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.1,
            "responseLogprobs": True,
            "logprobs": 2,
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
            "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True},
        },
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "cachedContent": "cachedContents/1",
        "labels": {"k": "v"},
    },
}
"""One request a dialect, with all that its API has."""

HEAD = """<!-- Written by docs/generate_fidelity.py. -->

# Fidelity

In the same dialect nothing is lost: the client's bytes go up with named edits (model, output cap, stream options, guards), the
answer's bytes come back. A *crossing* goes through the neutral model. What it cannot carry is listed: in `x-headgate-losses`, in
the metric `headgate_losses_total`, in the request's record, and by `headgate explain`. A model with `strict: true`, or a request
with `x-headgate-strict: true`, is refused with 400 instead.

The tables below come from the code: a request that uses everything its API has, written for each other dialect.
"""


def losses(source: str, target: str) -> list[tuple[str, str]]:
    prompt = DIALECTS[source].read(EVERYTHING[source])
    written = DIALECTS[target].write(prompt, Target(model="m", provider="any"))
    return sorted({(loss.what, loss.why) for loss in written.losses})


def render() -> str:
    parts = [HEAD]
    for source, title in NAMES.items():
        parts.append(f"\n## From {title}\n")
        for target, other in NAMES.items():
            if target == source:
                continue
            found = losses(source, target)
            parts.append(f"\n### to {other}\n\n")
            parts.append("Nothing is lost.\n" if not found else "| lost | why |\n|---|---|\n")
            parts += [f"| `{what}` | {why} |\n" for what, why in found]
    parts.append("\n## Stop words\n\nWhat each dialect says when an answer ends for a neutral reason.\n\n")
    parts.append("| reason | " + " | ".join(NAMES.values()) + " |\n|---|" + "---|" * len(NAMES) + "\n")
    for stop in get_args(Stop):
        parts.append(f"| {stop} | " + " | ".join(f"`{_word(name, stop)}`" for name in NAMES) + " |\n")
    return "".join(parts)


def _word(dialect: str, stop: Stop) -> str:
    """The word that a whole answer of the dialect shows."""
    from headgate.dialects.base import Ask
    from headgate.model.events import Answer, AnswerPart, Choice
    from headgate.model.usage import Usage

    part = (
        AnswerPart(kind="tool_call", id="call_1", name="t", text="{}")
        if stop == "tool_use"
        else AnswerPart(kind="text", text="x")
    )
    answer = Answer(id="a", model="m", choices=[Choice(parts=[part], stop=stop, native="")], usage=Usage())
    json, _ = DIALECTS[dialect].answer(answer, Ask(id="req", model="m", created=0))
    match dialect:
        case "openai_chat":
            return str(json["choices"][0]["finish_reason"])
        case "openai_responses":
            reason = (json.get("incomplete_details") or {}).get("reason")
            return str(json["status"]) + (f" ({reason})" if reason else "")
        case "anthropic_messages":
            return str(json["stop_reason"])
        case _:
            return str(json["candidates"][0]["finishReason"])


if __name__ == "__main__":
    TARGET.write_text(render())
