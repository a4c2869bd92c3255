// Receives notices: node receiver.mjs 9000 whsec_…   Needs `npm install standardwebhooks` and nothing else.
//
// It verifies every signature, echoes the challenge that proves whose address this is, answers before it works, and deals
// with each `webhook-id` once.

import { createServer } from 'node:http';
import { Webhook } from 'standardwebhooks';

const webhook = new Webhook(process.argv[3]);
const seen = new Set(); // yours is a table: a notice may come twice, also after a restart

const answer = (response, status, body) => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  let told;
  try {
    told = webhook.verify(Buffer.concat(parts).toString('utf8'), request.headers);
  } catch {
    answer(response, 400, { error: 'signature' });
    return;
  }
  if (told.type === 'linli.endpoint.challenge') {
    answer(response, 200, { challenge: told.challenge });
    return;
  }
  answer(response, 200, {});
  if (!seen.has(request.headers['webhook-id'])) {
    seen.add(request.headers['webhook-id']);
    console.log(JSON.stringify(told));
  }
});

server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
