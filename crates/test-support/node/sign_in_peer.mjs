// A Node program that signs in to a shared token cache and refreshes: all is the work of
// @azure/msal-node and the plugin of @azure/msal-node-extensions, whose modules are imported one by
// one, for its index needs a native part. Only the network is made up. Prints one JSON object; a
// failure is {"error": code} and exit status 1. Usage:
//
//     sign_in_peer.mjs sign-in|refresh PATH REQUEST
//
// REQUEST is JSON: client_id, scope, account (uid, utid, username); for a sign-in also
// refresh_token and foci (or null).

import { PublicClientApplication } from "@azure/msal-node";
import { FilePersistence } from "./node_modules/@azure/msal-node-extensions/dist/persistence/FilePersistence.mjs";
import { PersistenceCachePlugin } from "./node_modules/@azure/msal-node-extensions/dist/persistence/PersistenceCachePlugin.mjs";

const [command, path, argument] = process.argv.slice(2);
const request = JSON.parse(argument);
const { uid, utid, username } = request.account;
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const sent = {};

// What the server answers to whatever is posted.
function answer(body) {
  Object.assign(sent, Object.fromEntries(new URLSearchParams(body)));
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: request.client_id,
    iss: `https://login.microsoftonline.com/${utid}/v2.0`,
    iat: now,
    nbf: now,
    exp: now + 3600,
    oid: uid,
    sub: `subject-${username}`,
    tid: utid,
    preferred_username: username,
    ver: "2.0",
  };
  const number = `${now}-${process.pid}`;
  return {
    token_type: "Bearer",
    scope: request.scope,
    expires_in: 3600,
    ext_expires_in: 3600,
    access_token: `node-access-${number}`,
    refresh_token: request.refresh_token ?? `node-refresh-${number}`,
    id_token: `${encoded({ typ: "JWT", alg: "RS256" })}.${encoded(claims)}.c2lnbmF0dXJl`,
    client_info: encoded({ uid, utid }),
    ...(request.foci ? { foci: request.foci } : {}),
  };
}

const reply = (body) => ({ status: 200, headers: {}, body });
const networkClient = {
  async sendGetRequestAsync(url) {
    throw new Error(`the network is refused: ${url}`);
  },
  async sendPostRequestAsync(_url, options) {
    return reply(answer(options.body));
  },
};

async function run() {
  const plugin = new PersistenceCachePlugin(await FilePersistence.create(path));
  const application = new PublicClientApplication({
    auth: {
      clientId: request.client_id,
      authority: `https://login.microsoftonline.com/${utid}`,
    },
    cache: { cachePlugin: plugin },
    system: { networkClient },
  });
  if (command === "sign-in") {
    const result = await application.acquireTokenByCode({
      code: "a code",
      scopes: [request.scope],
      redirectUri: "http://localhost",
    });
    return { environment: result.account.environment, token: result.accessToken, sent };
  }
  const accounts = await application.getTokenCache().getAllAccounts();
  const account = accounts.find((known) => known.homeAccountId === `${uid}.${utid}`);
  const result = await application.acquireTokenSilent({
    account,
    scopes: [request.scope],
    forceRefresh: true,
  });
  return { environment: account.environment, token: result.accessToken, sent };
}

try {
  console.log(JSON.stringify(await run()));
} catch (error) {
  console.log(JSON.stringify({ error: error.errorCode ?? error.name, message: error.message }));
  process.exitCode = 1;
}
