// Package app is the Pub/Sub app: the origin behind Fanout that knows topics,
// tokens and stored messages, answering in this process.
//
//	GET  /events?topic=T        an event stream of T, held by the engine
//	POST /events?topic=T        publish the body to T
//	POST /admin/keys            make a signing key
//	GET  /mqtt                  MQTT 5 over a WebSocket, its frames as events
//
// It promises the answers of the August 2025 app to the byte: routes, order of
// checks, texts, headers, event ids and the instructions given to the engine.
// A reproduced oddity carries its number ("Quirk Q8") and has a test named
// after it; those a user is likely to trip over also write a warning. A publish
// goes to exactly one channel: the live one, or, if the message was stored, the
// durable one as a signal to ask again. A stored message is in the store before
// anybody is told.
//
// Between requests it keeps nothing besides a cache of verified tokens, and for
// each WebSocket its client's id, token and subscriptions, at most 128 KiB. An
// MQTT client's oddity is worth one warning for each connection. The app does
// not hold connections, order or deliver anything: that is the engine's work.
// It does not know whether a published item reached its readers.
package app
