// oidc-provider as a token endpoint over TLS on loopback, for tests: every refresh token is good
// once. Prints one JSON object a line: first where it listens and a refresh token to begin with,
// then what becomes of each request.
//
// Arguments: the files of the server's certificate and key, the client, and the scopes it may ask
// for besides those of OpenID Connect.

import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

// What Node 18 lacks of that which the package takes for granted.
globalThis.crypto ??= webcrypto;
URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);
const { default: Provider } = await import('oidc-provider');

const [certificate, key, clientId, ...resourceScopes] = process.argv.slice(2);
const scopes = ['openid', 'profile', 'offline_access', ...resourceScopes];
const accountId = 'ada';
const say = (object) => console.log(JSON.stringify(object));

let answer = (request, response) => response.writeHead(503).end();
const tls = { cert: readFileSync(certificate), key: readFileSync(key) };
const server = createServer(tls, (request, response) => answer(request, response));
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  const provider = new Provider(`https://localhost:${port}`, {
    clients: [
      {
        client_id: clientId,
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: ['http://localhost/'],
        scope: scopes.join(' '),
      },
    ],
    scopes,
    claims: { profile: ['name', 'preferred_username'] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: false } },
    cookies: { keys: ['for tests only'] },
    rotateRefreshToken: true,
    ttl: { AccessToken: 3600, IdToken: 3600, Grant: 3600, RefreshToken: 3600 },
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({ sub, name: 'Ada', preferred_username: 'ada@contoso.example' }),
    }),
  });
  provider.on('grant.success', (ctx) =>
    say({ granted: ctx.oidc.params.scope, agent: ctx.get('user-agent') }),
  );
  provider.on('grant.error', (_, error) =>
    say({ refused: error.error, detail: error.error_detail }),
  );
  provider.on('server_error', (_, error) => say({ broken: String(error) }));

  // As a sign-in would have left them.
  const client = await provider.Client.find(clientId);
  const grant = new provider.Grant({ accountId, clientId });
  grant.addOIDCScope(scopes.join(' '));
  const grantId = await grant.save();
  const refreshToken = new provider.RefreshToken({
    accountId,
    client,
    grantId,
    gty: 'authorization_code',
    scope: scopes.join(' '),
    claims: {},
    expiresWithSession: false,
  });
  const callback = provider.callback();
  answer = (request, response) => {
    // Where Entra has it: /{tenant}/oauth2/v2.0/token.
    request.url = request.url.replace(/^\/[^/]+\/oauth2\/v2\.0\/token$/, '/token');
    callback(request, response);
  };
  say({ port, refresh_token: await refreshToken.save() });
});
