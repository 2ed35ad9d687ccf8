"""Makes up cases for recorder.py: caches as several tools leave them, a credential, a call and what
the server answers. The same seed gives the same cases.

    generator.py SEED NUMBER OUT
"""

import json
import random
import sys

from recorder import encoded

NOW = 1_700_000_000
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
VISUAL_STUDIO = "872cd9fa-d31f-45e0-9eab-6e460a02d1f1"
POWERSHELL = "1950a258-227b-4e31-a9cf-717495945fc2"
OWN_APP = "6e0ad5f1-17a6-4d8e-9a4c-0c7a3c2d8f11"
CLIENTS = [AZURE_CLI, AZURE_CLI, VISUAL_STUDIO, POWERSHELL, OWN_APP]
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
PASSTHROUGH = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
HOME = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OTHER = "33e01921-4d64-4f8c-a055-5bdaffd5e33d"
THIRD = "0f4c6c3e-2a9d-4b0a-8c3d-5e6f7a8b9c0d"
TENANTS = [HOME, HOME, OTHER, THIRD]
UIDS = ["5d8f3c1a-0000-4000-8000-000000000001", "5d8f3c1a-0000-4000-8000-000000000002"]
NAMES = ["ada@contoso.example", "bob@fabrikam.example", "J\u00f6rg@contoso.example", "eve"]
PUBLIC = ["login.microsoftonline.com", "login.windows.net", "sts.windows.net", "login.microsoft.com"]
CLOUDS = [
    PUBLIC,
    ["login.chinacloudapi.cn", "login.partner.microsoftonline.cn"],
    ["login.microsoftonline.us", "login.usgovcloudapi.net"],
    ["login.contoso.example"],
]
ARM = "https://management.azure.com/.default"
VAULT = "https://vault.azure.net/.default"
GRAPH = "https://graph.microsoft.com/User.Read"
# Of no resource by itself.
BARE = "user_impersonation"


class Maker(random.Random):
    """One case."""

    def once_in(self, number):
        """True once in so many times."""
        return self.randrange(number) == 0

    def weighted(self, *choices):
        """One of several values with weights."""
        values, weights = zip(*choices)
        return self.choices(values, weights)[0]

    def person(self):
        """Somebody who may be in the cache."""
        uid = self.choice(UIDS)
        utid = self.weighted(*((tenant, 3) for tenant in TENANTS), (PERSONAL, 1))
        source = self.weighted((None, 5), ("broker", 1), ("device_code", 1))
        home = self.weighted((f"{uid}.{utid}", 30), (uid, 1), (f"{uid}.{utid}.x", 1))
        return {"uid": uid, "utid": utid, "home": home, "name": self.choice(NAMES), "source": source}

    def host(self):
        """The environment of an entry: now and then one of another cloud."""
        others = [cloud for cloud in CLOUDS if self.cloud[0] not in cloud]
        return self.choice(self.cloud if not self.once_in(12) else self.choice(others))

    def whose(self):
        """The home_account_id of an entry."""
        return (self.people[0] if self.once_in(2) else self.choice(self.people))["home"]

    def seconds(self, value):
        """A time as writers put it."""
        return self.weighted((str(value), 40), (value, 2), (float(value), 1), (f" {value} ", 1))

    def scopes(self, most):
        """Some scopes, without doubles."""
        count = self.randint(1, most)
        chosen = [self.weighted((ARM, 8), (VAULT, 2), (GRAPH, 1), (BARE, 2)) for _ in range(count)]
        return list(dict.fromkeys(chosen))

    def access_token(self, number):
        """An entry of the AccessToken section."""
        home = self.whose()
        utid = home.split(".")[1] if home.count(".") == 1 else HOME
        left = self.weighted(
            (3600, 4), (301, 2), (300, 2), (299, 1), (90_000, 1), (200, 1), (20, 1), (-10, 2),
            (7 * 24 * 3600 + 1, 1),
        )
        entry = {
            "credential_type": self.weighted(("AccessToken", 30), ("AccessToken_With_AuthScheme", 1)),
            "secret": f"at-{number}",
            "home_account_id": home,
            "environment": self.host(),
            "client_id": self.choice(CLIENTS),
            "target": " ".join(self.scopes(3)),
            "realm": self.weighted(
                (utid, 6), ("organizations", 4), (self.choice(TENANTS), 3), ("common", 1), (PASSTHROUGH, 1)
            ),
            "token_type": self.weighted(("Bearer", 30), ("bearer", 1), ("pop", 1)),
            "cached_at": str(NOW - self.choice([60, 600, 4000]) + self.weighted((0, 20), (5000, 1))),
            "expires_on": self.seconds(NOW + left),
            "extended_expires_on": str(NOW + left),
        }
        if self.once_in(6):
            entry["refresh_on"] = str(NOW + self.choice([-100, 1000]))
        if self.once_in(12):
            name = self.choice(["key_id", "kid", "ext_cache_key", "user_assertion_hash"])
            entry[name] = self.choice(["x", "x", ""])
        if self.once_in(15):
            del entry["token_type"]
        if self.once_in(20):
            entry["target"] = entry["target"].upper()
        if self.once_in(40):
            entry["x_unknown"] = {"kept": [1, None]}
        return entry

    def refresh_token(self, number):
        """An entry of the RefreshToken section."""
        entry = {
            "credential_type": "RefreshToken",
            "secret": f"rt-{number}" if not self.once_in(20) else "rt-shared",
            "home_account_id": self.whose(),
            "environment": self.host(),
            "client_id": self.choice(CLIENTS),
            "target": self.weighted(("", 3), (ARM, 2)),
            "last_modification_time": str(NOW - self.choice([10, 10, 500, 90_000])),
        }
        family = self.weighted(("1", 8), ("absent", 3), (None, 1), ("", 1), ("2", 1))
        if family != "absent":
            entry["family_id"] = family
        if self.once_in(5):
            del entry["last_modification_time"]
        if self.once_in(15):
            name = self.choice(["ext", "ext_cache_key", "user_assertion_hash"])
            entry[name] = self.choice(["x", "x", "", None])
        if self.once_in(15):
            entry["expires_on"] = str(NOW + self.choice([-5, 5000]))
        if self.once_in(40):
            entry["x_unknown"] = "kept"
        return entry

    def account(self, person):
        """An entry of the Account section."""
        entry = {
            "home_account_id": person["home"],
            "environment": self.host(),
            "realm": self.weighted((person["utid"], 5), ("organizations", 1), (self.choice(TENANTS), 1)),
            "local_account_id": person["uid"],
            "username": self.weighted((person["name"], 12), ("", 2), (self.choice(NAMES), 1)),
            "authority_type": self.weighted(("MSSTS", 20), ("ADFS", 1), ("Other", 1)),
        }
        if person["source"]:
            entry["account_source"] = person["source"]
        return entry

    def app(self):
        """An entry of the AppMetadata section."""
        entry = {"client_id": self.choice(CLIENTS), "environment": self.host()}
        family = self.weighted(("1", 6), ("absent", 2), ("2", 1), ("", 1))
        if family != "absent":
            entry["family_id"] = family
        return entry

    def cache(self):
        """A cache, its entries under the keys that MSAL gives them."""
        people = [*self.people, *self.choices(self.people, k=self.weighted((0, 4), (1, 2), (2, 1)))]
        sections = {
            "AccessToken": [self.access_token(n) for n in range(self.weighted((0, 4), (1, 3), (3, 3), (6, 1)))],
            "RefreshToken": [self.refresh_token(n) for n in range(self.weighted((0, 1), (1, 6), (2, 4), (4, 2)))],
            "Account": [self.account(person) for person in people],
            "AppMetadata": [self.app() for _ in range(self.weighted((0, 3), (1, 2), (3, 1)))],
        }
        if not self.once_in(4):
            self.sign_in(sections)
        if self.record and self.once_in(2):
            access_token = self.access_token("recorded")
            access_token.update(
                home_account_id=self.record["homeAccountId"],
                environment=self.record["authority"],
                client_id=self.record["clientId"],
                realm=self.record["tenantId"],
            )
            sections["AccessToken"].append(access_token)
        for entry in sections["AccessToken"]:
            # Those at an alias the original finds only after it has failed to redeem.
            if self.record and entry["client_id"] == self.record["clientId"]:
                entry["environment"] = self.record["authority"]
        names = list(sections)
        self.shuffle(names)
        cache = {}
        for name in names:
            if sections[name] or self.once_in(3):
                cache[name] = {self.key(name, entry): entry for entry in sections[name]}
        if self.once_in(20):
            cache["Unknown"] = {"kept": {"as": "it is"}}
        return cache

    def sign_in(self, sections):
        """Adds what a tool leaves that has just signed the first person in."""
        who, host, client = self.people[0], self.choice(self.cloud), self.choice(CLIENTS)
        owner = {"home_account_id": who["home"], "environment": host}
        refresh_token = self.refresh_token("signed-in")
        refresh_token.update(owner, client_id=client)
        if not self.once_in(5):
            refresh_token["family_id"] = "1"
        sections["RefreshToken"].insert(self.randrange(len(sections["RefreshToken"]) + 1), refresh_token)
        account = self.account(who)
        account.update(owner, username=who["name"], authority_type="MSSTS")
        sections["Account"].append(account)
        if self.once_in(2):
            access_token = self.access_token("signed-in")
            access_token.update(owner, client_id=client, target=f"{ARM} openid profile")
            sections["AccessToken"].append(access_token)
        if self.once_in(2):
            sections["AppMetadata"].append({"client_id": client, "environment": host, "family_id": "1"})

    def key(self, section, entry):
        """The key that MSAL gives an entry; now and then the key of another program."""
        if self.once_in(40):
            return f"key {self.random()}"
        if section == "AppMetadata":
            return f"appmetadata-{entry['environment']}-{entry['client_id']}"
        id_and_host = [entry["home_account_id"], entry["environment"]]
        if section == "Account":
            parts = [*id_and_host, entry["realm"]]
        else:
            kind = "atext" if entry.get("ext_cache_key") and section == "AccessToken" else section
            parts = [*id_and_host, kind, entry["client_id"], entry.get("realm"), entry["target"]]
            if kind == "atext":
                parts.append(entry["ext_cache_key"])
        return "-".join(part or "" for part in parts).lower()

    def constructor(self):
        """How the credential is set up."""
        who = self.people[0] if not self.once_in(3) else self.choice(self.people)
        made = {}
        with_record = self.once_in(5)
        if with_record:
            made["authentication_record"] = {
                "tenantId": self.weighted((who["utid"], 6), ("organizations", 2), (OTHER, 1)),
                "clientId": AZURE_CLI if self.once_in(2) else self.choice(CLIENTS),
                "authority": self.choice(self.cloud),
                "homeAccountId": who["home"],
                "username": self.weighted((who["name"], 8), (who["name"].upper(), 1), ("nobody", 1)),
            }
        authority = self.choice(self.cloud)
        if self.cloud is not PUBLIC or self.once_in(3):
            made["authority"] = self.weighted(
                (authority, 6), (f"https://{authority}", 6), (f"https://{authority}/", 2),
                (f"http://{authority}", 0.3),
            )
        if self.once_in(4):
            made["username"] = self.weighted(
                (who["name"], 6), (who["name"].upper(), 1), (self.choice(NAMES), 1), ("", 1)
            )
        if self.once_in(5):
            made["tenant_id"] = self.weighted(
                (who["utid"], 6), (self.choice(TENANTS), 2), (who["utid"].upper(), 0 if with_record else 1), ("", 1)
            )
        if self.once_in(4):
            made["additionally_allowed_tenants"] = self.choice([["*"], [OTHER], [OTHER, THIRD], [HOME]])
        return made

    def call(self):
        """What is asked."""
        call = {"scopes": self.scopes(2)}
        if self.once_in(60):
            call["scopes"] = self.choice([[], [""], ["a b"], [ARM, "openid"]])
        if self.once_in(4):
            call["claims"] = self.weighted(
                ('{"access_token": {"nbf": {"essential": true, "value": "1"}}}', 8),
                ('{"access_token": {"xms_cc": {"values": ["x"]}}}', 2),
                ("", 1), ("{", 0.5), ("{}", 1),
            )
        if self.once_in(4):
            call["tenant_id"] = self.weighted(
                (self.choice(TENANTS), 6), ("organizations", 1), ("common", 1), ("contoso.example", 1), ("a/b", 0.3)
            )
        if self.once_in(5):
            call["enable_cae"] = True
        if self.once_in(6):
            call["method"] = "get_token"
        return call

    def success(self, asked):
        """An answer with a token."""
        who = self.people[0] if not self.once_in(4) else self.choice(self.people)
        number = self.randrange(1_000_000)
        body = {
            "token_type": "Bearer",
            "access_token": f"at-answer-{number}",
            "expires_in": self.weighted((3600, 6), (5400, 2), ("4000", 1), (7200, 1), (100_000, 1), (120, 1)),
        }
        if self.once_in(3):
            body["ext_expires_in"] = 7000
        if self.once_in(3):
            body["scope"] = self.weighted(
                (" ".join(asked), 3),
                (" ".join([*asked, "https://management.azure.com/user_impersonation"]), 3),
                (" ".join([*asked, BARE]), 2),
                ("openid profile", 1), ("", 1),
            )
        if self.once_in(2):
            body["refresh_token"] = f"rt-answer-{number}"
        if self.once_in(2):
            body["foci"] = self.weighted(("1", 6), ("2", 1))
        if self.once_in(8):
            body["refresh_in"] = self.choice([1800, 2000])
        info = {"uid": who["uid"], "utid": who["utid"]}
        found = self.weighted(("info", 14), ("absent", 3), ("none", 0.5), ("bad", 0.5))
        if found == "info":
            body["client_info"] = encoded(info)
        elif found == "none":
            body["client_info"] = ""
        elif found == "bad":
            body["client_info"] = "%%%"
        if self.once_in(3):
            body["id_token"] = f"{encoded({'alg': 'none'})}.{encoded(self.id_token(who))}.c2ln"
        elif self.once_in(40):
            body["id_token"] = "not.a token"
        if self.once_in(60):
            del body["access_token"]
        return {"status": 200, "json": body}

    def id_token(self, who):
        """The claims of an id_token."""
        claims = {
            "sub": f"sub-{who['uid']}",
            "tid": self.weighted((who["utid"], 6), (self.choice(TENANTS), 1)),
            "ver": "2.0",
            "exp": NOW + 3600,
        }
        if not self.once_in(4):
            claims["oid"] = who["uid"]
        if not self.once_in(4):
            claims["preferred_username"] = who["name"]
        return claims

    def refusal(self):
        """An answer that says no."""
        error, code, extra = self.weighted(
            (("invalid_grant", 50173, {}), 6),
            (("invalid_grant", 700082, {"suberror": "bad_token"}), 3),
            (("invalid_grant", 70043, {"suberror": "token_expired"}), 2),
            (("invalid_grant", 50076, {"suberror": "basic_action", "claims": '{"access_token":{}}'}), 3),
            (("invalid_grant", 65001, {"suberror": "consent_required"}), 2),
            (("invalid_grant", 700007, {}), 2),
            (("invalid_grant", 70000, {"suberror": "client_mismatch"}), 2),
            (("invalid_grant", 50196, {}), 1),
            (("interaction_required", 50079, {}), 3),
            (("login_required", 50058, {}), 1),
            (("consent_required", 65001, {}), 1),
            (("invalid_client", 7000218, {}), 2),
            (("unauthorized_client", 700016, {}), 2),
            (("invalid_scope", 70011, {}), 2),
            (("invalid_request", 90002, {}), 2),
            (("invalid_resource", 500011, {}), 1),
            (("invalid_grant", 50020, {}), 1),
            (("invalid_grant", 50034, {}), 1),
            (("invalid_grant", 90072, {}), 1),
            (("invalid_grant", 50057, {}), 1),
        )
        body = {"error": error, "error_description": f"AADSTS{code}: no.", "error_codes": [code], **extra}
        # With a record the original then tries the new one as well.
        if self.once_in(25) and not self.record:
            body["refresh_token"] = f"rt-beside-error-{self.randrange(1000)}"
        status = {"invalid_client": 401, "unauthorized_client": 400}.get(error, 400)
        return {"status": status, "json": body}

    def failure(self):
        """No answer, or none of use."""
        busy = json.dumps({"error": "temporarily_unavailable", "error_description": "busy"})
        as_json = {"Content-Type": "application/json"}
        status = self.choice([500, 502, 503, 504, 408])
        return self.weighted(
            ({"error": "connect"}, 2),
            ({"error": "read"}, 2),
            ({"status": status, "headers": as_json, "body": busy}, 3),
            ({"status": 429, "headers": as_json, "body": busy}, 1),
            ({"status": 429, "headers": {"Retry-After": "2", **as_json}, "body": busy}, 2),
            ({"status": 429, "headers": {"Retry-After": "100", **as_json}, "body": busy}, 1),
            ({"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<html>proxy</html>"}, 1),
            ({"status": 200, "headers": as_json, "body": "{oops"}, 1),
            ({"status": 200, "headers": as_json, "body": ""}, 0.5),
            ({"status": 200, "json": {}}, 0.5),
        )

    def answers(self, asked):
        """What the server answers, in order."""
        return [
            self.weighted((self.success, 6), (lambda _: self.refusal(), 4), (lambda _: self.failure(), 2))(asked)
            for _ in range(self.weighted((0, 2), (1, 8), (2, 4), (3, 3)))
        ]

    def case(self, name):
        """All of it."""
        self.cloud = self.weighted((PUBLIC, 12), *((cloud, 1) for cloud in CLOUDS[1:]))
        self.people = [self.person() for _ in range(self.weighted((1, 8), (2, 2), (3, 1)))]
        case = {"name": name, "kind": "lookup", "now": NOW, "env": {}}
        case["call"] = self.call()
        case["constructor"] = self.constructor()
        self.record = case["constructor"].get("authentication_record")
        if self.record:
            # The original looks at the aliases of a record's host in no order that one can name:
            # so there is one.
            aliases = [host for host in self.cloud if host != self.record["authority"]]
            self.cloud = [self.record["authority"], *(aliases[:1] if self.once_in(3) else [])]
        case["cache"] = self.cache()
        if case["call"].get("enable_cae") or self.once_in(10):
            case["cae_cache"] = self.cache()
        if self.once_in(15) and "authority" not in case["constructor"]:
            case["env"]["AZURE_AUTHORITY_HOST"] = self.weighted((f"https://{self.choice(self.cloud)}", 5), ("", 1))
        if self.once_in(15):
            case["env"]["AZURE_IDENTITY_DISABLE_MULTITENANTAUTH"] = self.choice(["1", "false"])
        if self.once_in(12):
            case["within_chain"] = True
        case["answers"] = self.answers(case["call"]["scopes"])
        return case


def main():
    """Writes the cases."""
    seed, number, out = sys.argv[1:]
    cases = []
    for n in range(int(number)):
        # Each by a seed of its own: a single case can be made again.
        cases.append(Maker(f"{seed}/{n}").case(f"generated/{seed}/{n}"))
    with open(out, "w", encoding="utf-8") as file:
        json.dump(cases, file)


if __name__ == "__main__":
    main()
