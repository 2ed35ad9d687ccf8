"""Records what azure-identity's SharedTokenCacheCredential does, in caches kept in memory, at a
time that stands still, with a scripted transport in place of the network.

A case says what is there and what is asked: `cache`, `cae_cache`, `constructor`, `env`, `call`,
`now`, `within_chain`, and what is answered. That is `transport`, every answer in its order, or
`answers`, those to POST requests alone: discovery is then answered as Entra does. A request beyond
the script gets the standard answer, a token for the account that owns the refresh token. The record
is the case with `transport`, all answers that were given and those that were left, and with the
members `expected` and `expected_*`.

    recorder.py record CASES OUT    writes a file of vectors
    recorder.py check VECTORS       records the inputs of vectors again and compares
"""

import argparse
import base64
import importlib.metadata
import io
import json
import logging
import os
import platform
import sys
import time
from urllib.parse import parse_qsl, urlsplit

import msal
import requests
import urllib3
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import (
    AuthenticationRecord,
    CredentialUnavailableError,
    SharedTokenCacheCredential,
)
from azure.identity._internal import within_dac

PACKAGES = ("azure-identity", "msal", "msal-extensions", "azure-core")
# What says nothing about the class, or differs from run to run.
VARIABLE_HEADERS = {
    "User-Agent": "<user-agent>",
    "x-ms-client-request-id": "<uuid>",
    "client-request-id": "<uuid>",
    "x-client-os": "<os>",
    "x-client-last-telemetry": "<telemetry>",
}
UNSENT_HEADERS = ("Accept-Encoding", "Connection", "Content-Length")


def encoded(value):
    """JSON in base64url without padding, as in a JWT and in client_info."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class Script(requests.adapters.HTTPAdapter):
    """Answers instead of the network, and remembers what was asked."""

    def __init__(self, case):
        super().__init__()
        self.case = case
        self.answers = list(case.get("transport", case.get("answers", [])))
        self.answers_discovery = "transport" not in case
        self.given, self.requests = [], []

    def next(self, method, url, body):
        """The answer to this request."""
        if method == "GET" and self.answers_discovery:
            answer = discovery(url)
        elif self.answers:
            answer = self.answers.pop(0)
        else:
            answer = standard_answer(self.case, dict(parse_qsl(body or "")).get("refresh_token"))
        self.given.append(answer)
        return answer

    def note(self, request):
        """Remembers a request."""
        headers = {
            name: VARIABLE_HEADERS.get(name, value)
            for name, value in request.headers.items()
            if name not in UNSENT_HEADERS
        }
        noted = {"method": request.method, "url": request.url}
        if request.body:
            body = request.body.decode() if isinstance(request.body, bytes) else request.body
            noted.update(form=dict(parse_qsl(body, keep_blank_values=True)), body=body)
        self.requests.append({**noted, "headers": headers})
        return noted.get("body")

    def send(self, request, **_):
        """What requests calls where it would open a connection."""
        answer = self.next(request.method, request.url, self.note(request))
        if "error" in answer:
            raise Scripted(answer["error"])
        if "json" in answer:
            body, headers = json.dumps(answer["json"]), {"Content-Type": "application/json"}
        else:
            body, headers = answer.get("body", ""), {}
        raw = urllib3.HTTPResponse(
            body=io.BytesIO(body.encode()),
            status=answer["status"],
            headers=answer.get("headers", headers),
            preload_content=False,
        )
        return self.build_response(request, raw)


class Scripted(Exception):
    """A failure of the transport that the script asks for."""


class Transport(RequestsTransport):
    """azure-core's own transport on top of a script; it notes waits and does not wait."""

    def __init__(self, script):
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", script)
        session.mount("http://", script)
        super().__init__(session=session, session_owner=False, use_env_settings=False)
        self.sleeps = []

    def send(self, request, **kwargs):
        try:
            return super().send(request, **kwargs)
        except Scripted as failure:
            if str(failure) == "connect":
                raise ServiceRequestError("simulated connect failure") from failure
            raise ServiceResponseTimeoutError("simulated read timeout") from failure

    def sleep(self, duration):
        self.sleeps.append(float(duration))


def discovery(url):
    """The answer to a discovery request."""
    parts = urlsplit(url)
    if parts.path.endswith("/discovery/instance"):
        authority = dict(parse_qsl(parts.query)).get("authorization_endpoint", "")
        asked = urlsplit(authority).netloc
        groups = [
            ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
            ["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
            ["login.microsoftonline.us", "login.usgovcloudapi.net"],
        ]
        if not any(asked in group for group in groups) and asked:
            groups.append([asked])
        body = {
            "tenant_discovery_endpoint": authority.replace(
                "/oauth2/v2.0/authorize", "/v2.0/.well-known/openid-configuration"
            ),
            "api-version": "1.1",
            "metadata": [
                {"preferred_network": hosts[0], "preferred_cache": hosts[0], "aliases": hosts}
                for hosts in groups
            ],
        }
    else:
        tenant = f"https://{parts.netloc}/{parts.path.split('/')[1]}"
        body = {
            "issuer": f"{tenant}/v2.0",
            "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{tenant}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{tenant}/oauth2/v2.0/devicecode",
        }
    return {"status": 200, "json": body}


def standard_answer(case, refresh_token):
    """A token for the account whose refresh token it is."""
    uid, _, utid = (owner(case, refresh_token) or "").partition(".")
    body = {
        "token_type": "Bearer",
        "access_token": "at-new",
        "expires_in": 3600,
        "client_info": encoded({"uid": uid, "utid": utid}),
    }
    return {"status": 200, "json": body}


def owner(case, refresh_token):
    """The home_account_id beside this secret."""
    for name in ("cae_cache", "cache"):
        section = (case.get(name) or {}).get("RefreshToken")
        for entry in section.values() if isinstance(section, dict) else ():
            if isinstance(entry, dict) and entry.get("secret") == refresh_token:
                return entry.get("home_account_id")
    return None


def cache_of(case, name):
    """A cache in memory with this content."""
    cache = msal.SerializableTokenCache()
    cache.deserialize(json.dumps(case.get(name, {})))
    return cache


def record(case):
    """The case with what the class made of it."""
    script = Script(case)
    transport = Transport(script)
    cache, cae_cache = cache_of(case, "cache"), cache_of(case, "cae_cache")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AZURE_")}
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment, **case.get("env", {}))
    real_time, time.time = time.time, lambda: float(case["now"])
    in_chain = within_dac.set(bool(case.get("within_chain")))
    try:
        expected = outcome(case, transport, cache, cae_cache)
    finally:
        within_dac.reset(in_chain)
        time.time = real_time
        os.environ.clear()
        os.environ.update(before)
    recorded = {name: value for name, value in case.items() if name not in ("answers", "transport")}
    recorded.update(
        transport=script.given + ([] if "transport" in case else script.answers),
        expected=expected,
        expected_requests=script.requests,
        expected_sleeps=transport.sleeps,
        expected_cache_after=json.loads(cache.serialize()),
    )
    if "cae_cache" in case:
        recorded["expected_cae_cache_after"] = json.loads(cae_cache.serialize())
    return recorded


def outcome(case, transport, cache, cae_cache):
    """What a call comes to."""
    settings = dict(case["constructor"])
    if "authentication_record" in settings:
        members = settings["authentication_record"]
        settings["authentication_record"] = AuthenticationRecord(
            members["tenantId"],
            members["clientId"],
            members["authority"],
            members["homeAccountId"],
            members["username"],
        )
    try:
        credential = SharedTokenCacheCredential(
            transport=transport, _cache=cache, _cae_cache=cae_cache, **settings
        )
    except Exception as error:  # a failure is a result as well
        return {**failure(error, is_about_arguments=True), "phase": "constructor"}
    call = dict(case["call"])
    scopes, method = call.pop("scopes"), call.pop("method", "get_token_info")
    try:
        if method == "get_token":
            token = credential.get_token(*scopes, **call)
            return {"token": token.token, "expires_on": token.expires_on}
        token = credential.get_token_info(*scopes, options=call)
        return {
            "token": token.token,
            "expires_on": token.expires_on,
            "refresh_on": token.refresh_on,
            "token_type": token.token_type,
        }
    except Exception as error:  # a failure is a result as well
        return failure(error, is_about_arguments=not scopes)


def failure(error, is_about_arguments):
    """How an exception is recorded. Not every ValueError is about the arguments."""
    if isinstance(error, CredentialUnavailableError):
        kind = "unavailable"
    elif isinstance(error, ClientAuthenticationError):
        kind = "authentication_failed"
    elif is_about_arguments and isinstance(error, ValueError):
        kind = "invalid_argument"
    else:
        kind = "other"
    recorded = {
        "error_kind": kind,
        "exception": f"{type(error).__module__}.{type(error).__qualname__}",
        "message": getattr(error, "message", None) or str(error),
    }
    response = getattr(error, "response", None)
    if response is not None:
        recorded["response_status"] = response.status_code
    return recorded


def packages():
    """The versions at work."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {**versions, "python": platform.python_version()}


def check(vectors):
    """Records the inputs of lookup vectors again; returns the names of those that differ."""
    differing = []
    for vector in vectors:
        inputs = {
            name: value
            for name, value in vector.items()
            if not name.startswith("expected")
        }
        recorded = record(inputs)
        for side in (vector["expected"], recorded["expected"]):
            # Words of Python's own change with its version.
            side.pop("message", None)
        members = {name for name in {*vector, *recorded} if name.startswith("expected")}
        bad = sorted(name for name in members if vector.get(name) != recorded.get(name))
        if bad or vector["transport"] != recorded["transport"]:
            differing.append(f"{vector['name']}: {', '.join(bad) or 'transport'}")
    return differing


def main():
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    added = commands.add_parser("record")
    added.add_argument("cases")
    added.add_argument("out")
    commands.add_parser("check").add_argument("vectors")
    arguments = parser.parse_args()
    # The class logs what it raises, which is recorded.
    logging.disable()

    if arguments.command == "check":
        with open(arguments.vectors, encoding="utf-8") as file:
            vectors = [v for v in json.load(file)["lookup"] if v["kind"] == "lookup"]
        differing = check(vectors)
        for line in differing:
            print(f"differs: {line}")
        print(f"{len(vectors) - len(differing)} of {len(vectors)} recorded alike")
        return 1 if differing or not vectors else 0
    with open(arguments.cases, encoding="utf-8") as file:
        cases = json.load(file)
    recorded = {"packages": packages(), "lookup": [record(case) for case in cases]}
    with open(arguments.out, "w", encoding="utf-8") as file:
        json.dump(recorded, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
