#!/bin/sh
# Installs what the bench compares with: nginx, LiteLLM's proxy, Portkey's gateway. Run by bench/run.py; safe to repeat.
#
# Rules of this file:
# - Versions are pinned here and nowhere else. LiteLLM has the interpreter that Headgate has.
# - Everything lands in bench/.venv and bench/node_modules (git-ignored), but nginx, which comes from the system's packages
#   and only where we are root.
# - A system that cannot be installed is no failure: its reason goes to bench/.venv/skipped/NAME, and the bench says so.
set -u
cd "$(dirname "$0")" || exit 1

LITELLM=1.106.0
PORTKEY=1.15.2
PYTHON=${PYTHON:-python3}

base=$("$PYTHON" -c "import sys; print(sys.base_prefix)")
.venv/bin/python -c "import sys; sys.exit(sys.base_prefix != '$base')" 2>/dev/null || rm -rf .venv
rm -rf .venv/skipped
mkdir -p .venv/skipped
skip() {
    echo "$1: $2" >&2
    echo "$2" >".venv/skipped/$1"
}

last() { # the last line of a log that says something
    grep -v '^[[:space:]]*$' "$1" | tail -n 1 | cut -c 1-200
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

if ! command -v nginx >/dev/null 2>&1; then
    if [ "$(id -u)" -ne 0 ]; then
        skip nginx "not installed, and only root may install it"
    elif ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nginx-light; } >"$log" 2>&1; then
        skip nginx "$(last "$log")"
    fi
fi

installed() { .venv/bin/python -c "import importlib.metadata as m, sys; sys.exit(m.version('litellm') != '$LITELLM')" 2>/dev/null; }
if ! installed; then
    if ! { "$PYTHON" -m venv .venv && .venv/bin/pip install -q --disable-pip-version-check "litellm[proxy]==$LITELLM"; } >"$log" 2>&1; then
        skip litellm "$(last "$log")"
    fi
fi

if ! command -v npm >/dev/null 2>&1; then
    skip portkey "npm is not installed"
elif ! grep -qs "\"version\": \"$PORTKEY\"" node_modules/@portkey-ai/gateway/package.json; then
    if ! npm install --prefix . --no-save --no-package-lock --no-audit --no-fund --ignore-scripts \
        "@portkey-ai/gateway@$PORTKEY" >"$log" 2>&1; then
        skip portkey "$(last "$log")"
    fi
fi
