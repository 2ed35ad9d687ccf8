// A Node program at a shared token cache: it counts in an entry of its own. Lock, reading and
// writing are those of @azure/msal-node-extensions; its modules are imported one by one, for its
// index needs a native part. What it saw is printed as one JSON object, with the members of
// `cache_torture count`. Usage:
//
//     torture_peer.mjs lock|plugin MODULES PATH NAME SECONDS THINK_MS
//
// `plugin` goes through PersistenceCachePlugin, as an application of MSAL does.

import { pathToFileURL } from "node:url";

const [mode, modules, path, name, seconds, think] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(`${modules}/@azure/msal-node-extensions/dist/${file}`));
const { CrossPlatformLock } = await load("lock/CrossPlatformLock.mjs");
const { FilePersistence } = await load("persistence/FilePersistence.mjs");
const { PersistenceCachePlugin } = await load("persistence/PersistenceCachePlugin.mjs");

const persistence = await FilePersistence.create(path);
const lock = new CrossPlatformLock(`${path}.lockfile`, persistence.getLogger());
const plugin = new PersistenceCachePlugin(persistence);
const waits = [];
const errors = [];
let last = 0;
let lost = 0;
let torn = 0;

// The next number, in the text of the cache.
function next(text) {
  let cache;
  try {
    cache = JSON.parse(text);
  } catch (error) {
    torn += 1;
    throw error;
  }
  cache.AccessToken ??= {};
  const entry = (cache.AccessToken[name] ??= {});
  lost += Math.max(0, last - Number(entry.secret ?? "0"));
  const now = Math.floor(Date.now() / 1000);
  Object.assign(entry, {
    credential_type: "AccessToken",
    home_account_id: "somebody.else",
    environment: "login.microsoftonline.com",
    client_id: "another-client",
    realm: "another-realm",
    target: name,
    secret: String(last + 1),
    cached_at: String(now),
    expires_on: String(now + 86400),
  });
  return JSON.stringify(cache);
}

async function locked(asked) {
  await lock.lock();
  waits.push(performance.now() - asked);
  try {
    await persistence.save(next(await persistence.load()));
  } finally {
    await lock.unlock();
  }
}

// The text that an application would hold between the two halves of an access.
let held = null;
async function plugged(asked) {
  const context = {
    cacheHasChanged: true,
    tokenCache: { deserialize: (text) => (held = text), serialize: () => next(held) },
  };
  await plugin.beforeCacheAccess(context);
  waits.push(performance.now() - asked);
  await plugin.afterCacheAccess(context);
}

const begun = performance.now();
while (performance.now() - begun < Number(seconds) * 1000) {
  const asked = performance.now();
  try {
    await (mode === "plugin" ? plugged(asked) : locked(asked));
    last += 1;
  } catch (error) {
    waits.push(performance.now() - asked);
    errors.push(String(error));
  }
  await new Promise((done) => setTimeout(done, 2 * Number(think) * Math.random()));
}
console.log(
  JSON.stringify({
    last,
    lost,
    torn,
    errors: errors.length,
    error: errors[0] ?? null,
    waits_ms: waits.map(Math.round),
  }),
);
