// An identity provider as others run one: users ada, who is an operator, and eve, who is not.
//
//   node provider.mjs <client id> <client secret> <redirect uri>...
//
// Prints its port. A user is whoever types the name; what is here is forgotten at the end.
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

const [clientId, clientSecret, ...redirectUris] = process.argv.slice(2);
const groups = { ada: ['staff', 'operators'], eve: ['staff'] };

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://localhost:${port}`, {
    clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: redirectUris }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
    cookies: { keys: ['of these tests alone'] },
    pkce: { required: () => true },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({
        sub: id, name: id, email: `${id}@example.com`, email_verified: true, groups: groups[id] ?? [],
      }),
    }),
  });
  server.on('request', provider.callback());
  console.log(port);
});
