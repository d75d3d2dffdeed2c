// Package sse is the event-stream format of HTML's server-sent events, in both
// directions: the encoder writes events byte for byte as the Pub/Sub app does,
// the Reader takes any conforming stream apart.
//
// The encoder promises the bytes of the pubsub-app contract, one validity check of
// the payload, and no allocation when the destination has room. It does not
// escape anything: a carriage return in a payload goes out as it is and may
// forge lines (Quirk Q35), and an event name or an id with a line end is the
// caller's mistake.
//
// The Reader promises the same events whatever pieces the bytes arrive in, an
// event as soon as its last byte is there, and bounded memory. It keeps bytes
// as they are: what is not UTF-8 is not replaced. It does not reconnect, resume
// or time out.
package sse
