"""IBM watsonx.ai through its model gateway, which speaks OpenAI's dialect. The API key buys a token of one hour from
IAM.
"""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from headgate.errors import UpstreamMalformed
from headgate.net import Call, Deadlines
from headgate.providers import paths
from headgate.providers.base import Credential, Endpoint, Provider, Setting
from headgate.providers.compatible import CHAT
from headgate.providers.exchange import TokenExchange, origin_of


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float


def iam_call(credential: Credential) -> Call:
    origin, path = origin_of(credential.settings["iam_url"])
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": str(credential.key)}
    return Call(
        method="POST",
        origin=origin,
        path=path,
        headers=[(b"content-type", b"application/x-www-form-urlencoded"), (b"accept", b"application/json")],
        body=urlencode(form).encode(),
        deadlines=Deadlines(headers=30.0, idle=30.0, total=60.0),
    )


def iam_token(body: bytes) -> tuple[str, float]:
    """The token and its life in seconds."""
    try:
        token = msgspec.json.decode(body, type=_Token)
    except msgspec.DecodeError as error:
        raise UpstreamMalformed("IAM's answer holds no token") from error
    return token.access_token, token.expires_in


PROVIDER = Provider(
    name="watsonx",
    title="IBM watsonx.ai",
    docs=(
        "https://www.ibm.com/docs/en/watsonx/saas?topic=generation-inferencing-gateway-models",
        "https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey",
    ),
    base_url="https://{region}.ml.cloud.ibm.com",
    env=(
        "WATSONX_APIKEY",
        "WATSONX_API_KEY",
    ),
    endpoints=(
        Endpoint(dialect="openai_chat", prefix="/ml/gateway/v1", accepts=CHAT),
        Endpoint(dialect="openai_completions", prefix="/ml/gateway/v1"),
    ),
    base_url_env=("WATSONX_URL",),
    auth=TokenExchange(iam_call, iam_token),
    settings=(
        Setting(name="region", env=("WATSONX_REGION",), default="us-south", about="Where the service instance is."),
        Setting(name="iam_url", env=("WATSONX_IAM_URL",), default="https://iam.cloud.ibm.com/identity/token"),
    ),
    opaque=paths.under("/ml/gateway/v1", paths.MODELS, paths.EMBEDDINGS),
)
