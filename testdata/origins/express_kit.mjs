// The starter kits' endpoints and a question board: Express with @fanoutio/serve-grip.
//
//     GRIP_URL=http://127.0.0.1:5561?iss=…&key=… node express_kit.mjs ADDRESS PORT
//
// GET /stream, /sse, /long-poll   held, on channel "test"
// /websocket                      a WebSocket that echoes, on channel "test"
// POST /publish                   the body, to "test" in all three formats
// /board/ROOM                     a WebSocket: questions asked there go to everybody in the room
import express from 'express';
import { createWebSocketControlMessage, HttpResponseFormat, HttpStreamFormat, WebSocketMessageFormat } from '@fanoutio/grip';
import { ServeGrip } from '@fanoutio/serve-grip';

const [address, port] = process.argv.slice(2);
const grip = new ServeGrip({ grip: process.env.GRIP_URL, isGripProxyRequired: true });
const app = express();
app.use(grip);

function held(mode, type, body) {
  return (req, res) => {
    const instruct = res.grip.startInstruct();
    instruct.addChannel('test');
    if (mode === 'stream') instruct.setHoldStream();
    else instruct.setHoldLongPoll(5);
    res.setHeader('Content-Type', type);
    res.end(body);
  };
}

app.get('/stream', held('stream', 'text/plain', '[stream open]\n'));
app.get('/sse', held('stream', 'text/event-stream', 'event: stream-open\ndata:\n\n'));
app.get('/long-poll', held('response', 'text/plain', 'nothing new\n'));

app.post('/publish', express.text({ type: '*/*' }), async (req, res) => {
  const publisher = grip.getPublisher();
  await publisher.publishFormats('test', [
    new HttpStreamFormat(req.body), new HttpResponseFormat({ body: req.body }), new WebSocketMessageFormat(req.body),
  ]);
  res.end('published\n');
});

app.post('/websocket', (req, res) => {
  const { wsContext } = req.grip;
  if (!wsContext) return res.status(400).end('not a WebSocket event\n');
  if (wsContext.isOpening()) {
    wsContext.accept();
    wsContext.subscribe('test');
  }
  while (wsContext.canRecv()) {
    const message = wsContext.recv();
    if (message === null) {
      wsContext.close(1000);
      break;
    }
    wsContext.send(message);
  }
  res.end();
});

// The board remembers who somebody is in the connection's meta, so that it keeps no state of its own per connection.
app.post('/board/:room', async (req, res) => {
  const { wsContext } = req.grip;
  if (!wsContext) return res.status(400).end('not a WebSocket event\n');
  const room = `board-${req.params.room}`;
  if (wsContext.isOpening()) {
    wsContext.accept();
    wsContext.meta.asked = '0';
    wsContext.subscribe(room);
    wsContext.sendControl(createWebSocketControlMessage('keep-alive', { content: '{}', timeout: 20 }));
    wsContext.send(JSON.stringify({ joined: req.params.room }));
  }
  while (wsContext.canRecv()) {
    const message = wsContext.recv();
    if (message === null) {
      wsContext.close(1000);
      break;
    }
    const asked = String(Number(wsContext.meta.asked) + 1);
    wsContext.meta.asked = asked;
    await grip.getPublisher().publishFormats(room, new WebSocketMessageFormat(JSON.stringify({ question: String(message), asked })));
  }
  res.end();
});

app.listen(Number(port), address, () => console.log('listening'));
