// Package fanout is what Fanout does: it asks a Handler about each request,
// holds the connections the Handler wants held, and delivers published items to
// them. It knows GRIP and HTTP; it knows nothing of topics, tokens or storage.
//
//	client ── GET ──► engine ── Request ──► Handler
//	       ◄─ head and first bytes ─┘  ◄── Response with grip.Instruct ──┘
//	       ◄─ content ── engine ◄── Publish(items)
//	                     engine ── Request{FollowUp} ──► Handler, when a hint
//	       ◄─ what is new ──┘                            says there is more
//
// A published item reaches every stream that was held on its channel before,
// once and in order, or the stream ends. Items carry ids only for channels that
// the origin has given a prev-id; a mismatch makes the stream ask its next link
// in place of guessing. A hint that arrives while a stream is asking is
// remembered and asked for again: unlike the stock proxy nothing is lost there
// (Quirk Q46). Nothing is kept for streams that are not there.
//
// A long-poll waits on a goroutine of net/http and is answered once: by an item,
// by its timeout with the answer that was held, or by the origin, which is asked
// again when a hint or a mismatch says that it knows more.
//
// Each Handler has its own bound on what is under way at once, so that one that
// answers slowly takes no places from the others.
//
// Held plain HTTP/1 connections leave net/http: their sockets belong to a hub
// shard, without a goroutine or buffer. TLS, HTTP/2 and other systems than
// Linux keep a goroutine each and behave the same.
package fanout
