// MQTT.js against the relay, over real WebSockets: what users of Pub/Sub run in
// browsers. Arguments: the relay's address, a token for reading and writing
// "test" and "other", a token for neither.
"use strict";

const mqtt = require("mqtt");

const [url, token, wrong] = process.argv.slice(2);
const patience = 10_000;

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("timed out: " + what)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function check(ok, what) {
  if (!ok) throw new Error(what);
  console.log("ok   " + what);
}

const open = [];

async function connect(password, options = {}) {
  const client = mqtt.connect(url.replace(/^http/, "ws") + "/mqtt", {
    protocolVersion: 5, username: "anyone", password, reconnectPeriod: 100, ...options,
  });
  open.push(client);
  client.inbox = [];
  client.waiting = [];
  client.on("message", (topic, payload, packet) => {
    const message = { topic, text: payload.toString(), retain: packet.retain };
    const next = client.waiting.shift();
    if (next) next(message);
    else client.inbox.push(message);
  });
  await within(new Promise((resolve, reject) => {
    client.once("connect", resolve);
    client.once("error", reject);
  }), "connect");
  return client;
}

function receive(client, what) {
  if (client.inbox.length > 0) return Promise.resolve(client.inbox.shift());
  return within(new Promise((resolve) => client.waiting.push(resolve)), what);
}

async function wants(client, topic, text, what) {
  const got = await receive(client, what);
  check(got.topic === topic && got.text === text, `${what} (got ${got.topic}: ${got.text})`);
  return got;
}

async function post(query, body) {
  const response = await fetch(`${url}/events?${query}`, {
    method: "POST", body, headers: { Authorization: "Bearer " + token },
  });
  check((await response.text()) === "Published\n", "POST " + query);
}

async function subscribe(client, topic, options) {
  return within(client.subscribeAsync(topic, options), "subscribe " + topic);
}

async function main() {
  const a = await connect(token);
  const granted = await subscribe(a, "test");
  check(granted[0].qos === 0, "subscribe is granted QoS 0");
  await post("topic=test", "over http");
  await wants(a, "test", "over http", "a POST reaches MQTT.js");

  a.publish("test", "own");
  await wants(a, "test", "own", "a publisher gets its own live message");

  const quiet = await connect(token);
  await subscribe(quiet, "test", { nl: true });
  quiet.publish("test", "mine");
  await wants(a, "test", "mine", "another client gets it");
  a.publish("test", "yours");
  await wants(quiet, "test", "yours", "no-local withholds only one's own");
  await wants(a, "test", "yours", "and the sender gets it");

  a.publish("test", "kept", { retain: true, properties: { messageExpiryInterval: 60 } });
  await wants(a, "test", "kept", "a stored message reaches who is connected");
  await wants(quiet, "test", "kept", "and no-local does not apply to it");
  const late = await connect(token);
  await subscribe(late, "test");
  const kept = await wants(late, "test", "kept", "a late subscriber gets the stored message");
  check(kept.retain === true, "marked as retained");

  // One SUBSCRIBE with two filters: only the first counts (Quirk Q3). MQTT.js may
  // drop a connection whose SUBACK is short of a code, and then asks one by one.
  a.publish("other", "for the first filter", { retain: true });
  const array = await connect(token);
  await within(array.subscribeAsync(["other", "test"]).catch(() => {}), "subscribe to two");
  let first;
  do first = await receive(array, "a message of the first of two topics");
  while (first.topic !== "other");
  check(first.text === "for the first filter", "of an array of topics the first counts");
  array.end(true);

  const refused = await connect(wrong);
  let said = "";
  try {
    const g = await subscribe(refused, "test");
    said = String(g[0].qos);
  } catch (err) {
    said = err.message;
  }
  check(said !== "0" && said !== "", "a token without the topic is refused at SUBSCRIBE: " + said);

  // A connection that breaks comes back and subscribes again.
  await subscribe(a, "test", { rh: 2 });
  const back = within(new Promise((resolve) => late.once("connect", resolve)), "reconnect");
  late.stream.destroy();
  await back;
  await wants(late, "test", "kept", "after a reconnect the subscription is made again");
  await post("topic=test", "after");
  await wants(late, "test", "after", "and delivers");

  // The answer to UNSUBSCRIBE has the wrong type (Quirk Q4), so MQTT.js never
  // calls back; deliveries stop all the same.
  a.unsubscribe("test");
  a.inbox.length = 0;
  await subscribe(a, "other", { rh: 2 });
  a.inbox.length = 0;
  const publisher = await connect(token);
  publisher.publish("test", "not for a");
  publisher.publish("other", "mark");
  await wants(a, "other", "mark", "unsubscribe ends deliveries");
}

main().then(
  () => 0,
  (err) => {
    console.error("FAIL " + err.message);
    return 1;
  },
).then((code) => {
  for (const client of open) client.end(true);
  process.exit(code);
});
