// The shape of the JavaScript Fanout starter kit: a Compute app that is both sides. A request without Grip-Sig is handed to Fanout,
// which comes back with it to the backend "self", this app again; what it then says holds the client.
import { createFanoutHandoff } from 'fastly:fanout';

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

const CHANNEL = 'test';

async function answer(request) {
  if (!request.headers.has('grip-sig')) return createFanoutHandoff(request, 'self');
  switch (new URL(request.url).pathname) {
    case '/stream':
      return held('stream', 'text/plain', '[stream open]\n');
    case '/sse':
      return held('stream', 'text/event-stream', 'event: stream-open\ndata:\n\n');
    case '/long-poll':
      return held('response', 'text/plain', 'nothing new\n', { 'Grip-Timeout': '5' });
    case '/websocket':
      return events(new Uint8Array(await request.arrayBuffer()));
    default:
      return new Response('no such test\n', { status: 404 });
  }
}

function held(mode, type, body, more = {}) {
  return new Response(body, { headers: { 'Content-Type': type, 'Grip-Hold': mode, 'Grip-Channel': CHANNEL, ...more } });
}

// Sends the events back, as the starter kit does, and subscribes when the connection opens.
function events(body) {
  const headers = { 'Content-Type': 'application/websocket-events' };
  const opens = new TextDecoder().decode(body.slice(0, 6)) === 'OPEN\r\n';
  if (!opens) return new Response(body, { headers });
  headers['Sec-WebSocket-Extensions'] = 'grip; message-prefix=""';
  const control = `c:${JSON.stringify({ type: 'subscribe', channel: CHANNEL })}`;
  return new Response(`OPEN\r\nTEXT ${control.length.toString(16)}\r\n${control}\r\n`, { headers });
}
