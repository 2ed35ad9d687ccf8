"""Microsoft's Python packages as a neighbour at the shared token cache, one command a run.

The store is the one under $HOME that azure-identity itself opens. Everything that reads, writes or
locks it is the packages' own code; this file only calls them and stands in for the network. Every
command prints one JSON object. A failure is {"error": type, "message": text} and exit status 1.
"""

import argparse
import base64
import importlib.metadata
import io
import json
import sys
import time
import uuid
from urllib.parse import parse_qsl

import msal
import requests
import urllib3
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import SharedTokenCacheCredential, TokenCachePersistenceOptions
from azure.identity._persistent_cache import _load_persistent_cache
from msal_extensions import CrossPlatLock
from msal_extensions.persistence import PersistenceNotFound

AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
TYPES = msal.TokenCache.CredentialType
SECTIONS = {
    "AccessToken": TYPES.ACCESS_TOKEN,
    "RefreshToken": TYPES.REFRESH_TOKEN,
    "IdToken": TYPES.ID_TOKEN,
    "Account": TYPES.ACCOUNT,
    "AppMetadata": TYPES.APP_METADATA,
}


class NetworkRefused(Exception):
    """A request that the command does not answer."""


class Network(requests.adapters.HTTPAdapter):
    """Stands where the network would be: what `answer` does not know is refused."""

    def __init__(self, answer=lambda request: None):
        super().__init__()
        self.answer = answer
        self.session = requests.Session()
        self.session.mount("https://", self)

    def send(self, request, **_):
        body = self.answer(request)
        if body is None:
            raise NetworkRefused(f"{request.method} {request.url}")
        raw = urllib3.HTTPResponse(
            body=io.BytesIO(json.dumps(body).encode()),
            status=200,
            headers={"Content-Type": "application/json"},
            preload_content=False,
        )
        return self.build_response(request, raw)

    def transport(self):
        """The same for an azure-core pipeline."""
        return RequestsTransport(session=self.session, session_owner=False)


def open_cache(cae):
    """The store as azure-identity opens it; here that must be the plaintext file."""
    options = TokenCachePersistenceOptions(allow_unencrypted_storage=True)
    cache = _load_persistent_cache(options, cae)
    if cache.is_encrypted:
        raise RuntimeError("a keyring took the store: run this in an environment without PyGObject")
    return cache


def encoded(value):
    """JSON in base64url without padding, as in a JWT and in client_info."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def person(number):
    """The made-up user of this number, in a tenant of their own."""
    return {
        "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"user{number}.example")),
        "utid": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"tenant{number}.example")),
        "username": f"user{number}@tenant{number}.example",
    }


def token_event(who, scope, arguments, sign_in):
    """What msal hands to the cache when this person signs in, or has asked for a further scope."""
    now = int(time.time())
    tenant = arguments.realm or who["utid"]
    id_token = {
        "aud": arguments.client_id,
        "iss": f"https://{arguments.authority}/{tenant}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "oid": who["uid"],
        "sub": f"subject-{who['username']}",
        "tid": who["utid"],
        "preferred_username": who["username"],
        "name": who["username"].split("@")[0],
        "ver": "2.0",
    }
    access_token = f"python-access-{who['username']}-{scope}-{now}-"
    response = {
        "token_type": "Bearer",
        "scope": scope,
        "expires_in": arguments.expires_in,
        "ext_expires_in": arguments.expires_in,
        "access_token": access_token.ljust(arguments.token_bytes, "."),
        "id_token": f"{encoded({'typ': 'JWT', 'alg': 'RS256'})}.{encoded(id_token)}.c2lnbmF0dXJl",
        "client_info": encoded({"uid": who["uid"], "utid": who["utid"]}),
    }
    if not arguments.no_family:
        response["foci"] = "1"
    if sign_in:
        response["refresh_token"] = (
            arguments.refresh_token or f"python-refresh-{who['username']}"
        )
    return {
        "client_id": arguments.client_id,
        "scope": [scope],
        "token_endpoint": f"https://{arguments.authority}/{tenant}/oauth2/v2.0/token",
        "grant_type": "authorization_code" if sign_in else "refresh_token",
        "skip_account_creation": not sign_in,
        "response": response,
    }


def write(arguments):
    """Signs people in for one scope each, and gets them tokens for further ones."""
    cache = open_cache(arguments.cae)
    first = arguments.first
    people = [person(number) for number in range(first, first + arguments.accounts)]
    scopes = [f"https://resource{number}.example/.default" for number in range(arguments.tokens)]
    events = (
        token_event(who, scope, arguments, sign_in=scope == scopes[0])
        for who in people
        for scope in scopes
    )
    if arguments.bulk:
        # The packages save five times for an event. The same code in memory, then one save.
        persistence = cache._persistence
        with CrossPlatLock(cache._lock_location):
            memory = msal.SerializableTokenCache()
            try:
                memory.deserialize(persistence.load())
            except PersistenceNotFound:
                pass
            for event in events:
                memory.add(event)
            persistence.save(memory.serialize())
    else:
        for event in events:
            cache.add(event)
    return {
        "client_id": arguments.client_id,
        "scopes": scopes,
        "accounts": [
            {
                "home_account_id": f"{who['uid']}.{who['utid']}",
                "tenant_id": who["utid"],
                "username": who["username"],
            }
            for who in people
        ],
    }


def ask_credential(arguments, network, **options):
    """One token from the real credential, and the account that it chose for it."""
    credential = SharedTokenCacheCredential(
        arguments.username,
        authority=arguments.authority,
        tenant_id=arguments.tenant_id,
        transport=network.transport(),
    )
    chosen = {}
    choose = credential._credential._get_account

    def choose_and_tell(*args, **kwargs):
        chosen.update(choose(*args, **kwargs))
        return chosen

    credential._credential._get_account = choose_and_tell
    options["enable_cae"] = arguments.cae
    with credential:
        info = credential.get_token_info(*arguments.scopes, options=options)
    return {
        "token": info.token,
        "expires_on": info.expires_on,
        "refresh_on": info.refresh_on,
        "account": {key: chosen.get(key) for key in ("home_account_id", "username")},
    }


def find(arguments):
    """A token from the cache by SharedTokenCacheCredential; the network is refused."""
    return ask_credential(arguments, Network())


def redeem(arguments):
    """A redemption by SharedTokenCacheCredential, which then writes the answer to the store."""
    cache = open_cache(arguments.cae)
    sent = {}

    def answer(request):
        if request.method != "POST":
            return None
        sent.update(parse_qsl(request.body))
        if arguments.response:
            return json.loads(arguments.response)
        uid, utid = account_of(cache, sent["refresh_token"]).split(".")
        number = uuid.uuid4()
        return {
            "token_type": "Bearer",
            "scope": sent["scope"],
            "expires_in": 3600,
            "ext_expires_in": 3600,
            "access_token": f"python-redeemed-{number}",
            "refresh_token": f"python-rotated-{number}",
            "foci": "1",
            "client_info": encoded({"uid": uid, "utid": utid}),
        }

    options = {"claims": arguments.claims} if arguments.claims else {}
    return {**ask_credential(arguments, Network(answer), **options), "sent": sent}


def account_of(cache, refresh_token):
    """The home_account_id that a refresh token of the store belongs to."""
    found = list(cache.search(TYPES.REFRESH_TOKEN, query={"secret": refresh_token}))
    return found[0]["home_account_id"]


def silent(arguments):
    """A token from the cache by msal's application, which is how Azure CLI asks."""
    host = f"https://{arguments.authority}/{arguments.realm}"

    def answer(request):
        if request.url == f"{host}/v2.0/.well-known/openid-configuration":
            return {
                "issuer": f"{host}/v2.0",
                "authorization_endpoint": f"{host}/oauth2/v2.0/authorize",
                "token_endpoint": f"{host}/oauth2/v2.0/token",
            }
        return None

    application = msal.PublicClientApplication(
        arguments.client_id,
        authority=host,
        token_cache=open_cache(arguments.cae),
        http_client=Network(answer).session,
        instance_discovery=False,
    )
    accounts = application.get_accounts(arguments.username)
    if len(accounts) != 1:
        raise LookupError(f"{len(accounts)} accounts of that name")
    result = application.acquire_token_silent(arguments.scopes, accounts[0])
    if not result:
        raise LookupError("no token for that account")
    return {"token": result["access_token"], "source": result["token_source"]}


def refresh(arguments):
    """A redemption by msal's application past the cached access token, as Azure CLI redeems."""
    host = f"https://{arguments.authority}/{arguments.realm}"
    sent = {}

    def answer(request):
        if request.url == f"{host}/v2.0/.well-known/openid-configuration":
            return {
                "issuer": f"{host}/v2.0",
                "authorization_endpoint": f"{host}/oauth2/v2.0/authorize",
                "token_endpoint": f"{host}/oauth2/v2.0/token",
            }
        if request.method != "POST":
            return None
        sent.update(parse_qsl(request.body))
        number = uuid.uuid4()
        return {
            "token_type": "Bearer",
            "scope": sent["scope"],
            "expires_in": 3600,
            "access_token": f"python-redeemed-{number}",
            "refresh_token": f"python-rotated-{number}",
        }

    application = msal.PublicClientApplication(
        arguments.client_id,
        authority=host,
        token_cache=open_cache(arguments.cae),
        http_client=Network(answer).session,
        instance_discovery=False,
    )
    accounts = application.get_accounts(arguments.username)
    if len(accounts) != 1:
        raise LookupError(f"{len(accounts)} accounts of that name")
    result = application.acquire_token_silent_with_error(
        arguments.scopes, accounts[0], force_refresh=True
    )
    if not result or "error" in result:
        raise LookupError(f"no token for that account: {result}")
    return {"token": result["access_token"], "source": result["token_source"], "sent": sent}


def dump(arguments):
    """Every entry of the store, as the packages see them."""
    cache = open_cache(arguments.cae)
    # At the beginning of time nothing has expired: a search would remove it from the store.
    return {name: list(cache.search(section, now=0)) for name, section in SECTIONS.items()}


def hold(arguments):
    """Takes the store's lock, says so, and holds it until standard input ends."""
    path = open_cache(arguments.cae)._lock_location
    with CrossPlatLock(path):
        print(json.dumps({"held": path}), flush=True)
        sys.stdin.read()
    return {"released": path}


def about(arguments):
    """The versions at work, the kind of lock, and the place of the store."""
    packages = ("azure-identity", "azure-core", "msal", "msal-extensions")
    return {
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "lock": "portalocker" if CrossPlatLock.__module__.endswith("cache_lock") else "plain",
        "store": open_cache(arguments.cae)._persistence.get_location(),
    }


def command_line():
    """The arguments of this run, with the function of its command."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(function):
        added = commands.add_parser(function.__name__, help=function.__doc__)
        added.set_defaults(function=function)
        added.add_argument("--cae", action="store_true", help="the store for CAE tokens")
        return added.add_argument

    def server(option):
        option("--authority", default="login.microsoftonline.com", metavar="HOST")

    def request(option):
        server(option)
        option("scopes", nargs="+", metavar="SCOPE")
        option("--username")

    command(about)
    command(dump)
    command(hold)

    option = command(find)
    request(option)
    option("--tenant-id", help="the account's home tenant")

    option = command(redeem)
    request(option)
    option("--tenant-id", help="the account's home tenant")
    option("--claims", help="ask past the cached access token")
    option("--response", metavar="JSON", help="what the server answers, with status 200")

    option = command(silent)
    request(option)
    option("--client-id", default=AZURE_CLI)
    option("--realm", required=True, help="the tenant to ask")

    option = command(refresh)
    request(option)
    option("--client-id", default=AZURE_CLI)
    option("--realm", required=True, help="the tenant to ask")

    option = command(write)
    server(option)
    option("--client-id", default=AZURE_CLI)
    option("--realm", help="the tenant that was asked; by default each home tenant")
    option("--first", type=int, default=0, help="the number of the first person")
    option("--accounts", type=int, default=1)
    option("--tokens", type=int, default=1, help="scopes for each account")
    option("--refresh-token", help="what the sign-in got; by default made up for each account")
    option("--token-bytes", type=int, default=1500, help="least length of an access token")
    option("--expires-in", type=int, default=3600, help="seconds; negative: expired already")
    option("--no-family", action="store_true", help="refresh tokens without family_id")
    option("--bulk", action="store_true", help="one save for all sign-ins")
    return parser.parse_args()


def main():
    """Runs the command, prints its result."""
    arguments = command_line()
    try:
        result = arguments.function(arguments)
    except Exception as error:  # the report of a failure is this program's result too
        result = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(result))
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main())
