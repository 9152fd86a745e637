"""What servers are assumed to take that speak somebody else's dialect: a cautious start for provider files.

CHAT: `max_tokens`, role "system" in place of "developer", no file and no audio parts. MESSAGES: no structured output,
no documents, thinking told by a budget. RESPONSES: no state on the server. A file that knows better says so.
"""

from __future__ import annotations

from headgate.dialects.base import Accepts

CHAT = Accepts(
    max_tokens_field="max_tokens", developer_role=False, documents=False, audio=False, reasoning_field="none"
)
MESSAGES = Accepts(
    tool_id="anthropic", json_schema=False, strict_tools=False, documents=False, audio=False, thinking="budget"
)
RESPONSES = Accepts(state=False)
