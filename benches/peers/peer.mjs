// @azure/msal-node with the cache plugin of @azure/msal-node-extensions at the caches of the
// benchmarks. Its modules are imported one by one, for its index needs a native part. Usage:
//
//     peer.mjs hit|cold MODULES FOLDER SECONDS
//
// FOLDER is what `write_caches` made. Prints one JSON object: nanoseconds per call for each cache,
// the lower quartile of the calls.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [group, modules, folder, seconds] = process.argv.slice(2);
const { PublicClientApplication } = createRequire(`${modules}/`)("@azure/msal-node");
const load = (file) => import(pathToFileURL(`${modules}/@azure/msal-node-extensions/dist/${file}`));
const { FilePersistence } = await load("persistence/FilePersistence.mjs");
const { PersistenceCachePlugin } = await load("persistence/PersistenceCachePlugin.mjs");

const AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

async function application(path, tenant) {
  const cachePlugin = new PersistenceCachePlugin(await FilePersistence.create(path));
  const authority = `https://login.microsoftonline.com/${tenant}`;
  return new PublicClientApplication({
    auth: { clientId: AZURE_CLI, authority },
    cache: { cachePlugin },
  });
}

async function token(client, { username, scope }) {
  const accounts = await client.getTokenCache().getAllAccounts();
  const account = accounts.find((account) => account.username === username);
  return (await client.acquireTokenSilent({ account, scopes: [scope] })).accessToken;
}

// MSAL for Node decodes the ID tokens, so these must be some: of the same length, in another file.
function withIdTokens(path) {
  const cache = JSON.parse(readFileSync(path, "utf-8"));
  const usernames = Object.fromEntries(
    Object.values(cache.Account).map((account) => [account.home_account_id, account.username]),
  );
  for (const entry of Object.values(cache.IdToken)) {
    const claims = {
      oid: entry.home_account_id.split(".")[0],
      tid: entry.realm,
      preferred_username: usernames[entry.home_account_id],
    };
    const [head, body] = [{ typ: "JWT", alg: "RS256" }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url"),
    );
    entry.secret = `${head}.${body}.`.padEnd(entry.secret.length, "s");
  }
  writeFileSync(`${path}.node`, JSON.stringify(cache, null, 4), { mode: 0o600 });
  return `${path}.node`;
}

const caches = JSON.parse(readFileSync(`${folder}/caches.json`, "utf-8"));
const figures = {};
for (const [size, cache] of Object.entries(caches)) {
  const path = withIdTokens(`${folder}/${size}/.IdentityService/msal.cache.nocae`);
  const known = await application(path, cache.tenant);
  await token(known, cache);
  const times = [];
  const end = performance.now() + 1000 * Number(seconds);
  while (times.length < 3 || performance.now() < end) {
    const client = group === "hit" ? known : await application(path, cache.tenant);
    const begun = process.hrtime.bigint();
    const got = await token(client, cache);
    times.push(Number(process.hrtime.bigint() - begun));
    if (got !== cache.token) {
      throw new Error("another token than was asked for");
    }
  }
  times.sort((a, b) => a - b);
  figures[size] = times[Math.floor(times.length / 4)];
}
console.log(JSON.stringify(figures));
