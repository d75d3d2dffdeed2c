// Package grip is GRIP as data: the instructions an origin gives (Grip-* headers
// or a JSON body), the items a publisher sends, the events and control messages
// of WebSocket-over-HTTP, delivery and content filters, and Grip-Sig.
//
// Decoders accept what Pushpin accepts unless a comment says otherwise, refuse
// the rest with a Reason in Pushpin's own words, and never accept half of an
// input. What a decoder accepts its encoder can write, with the exceptions the
// encoder names. No decoder allocates more than a fixed multiple of its input, so
// callers bound the input; filters and patches, whose output can be far larger
// than what they are given, have bounds of their own.
//
// The package does no I/O, holds no connection, starts no goroutine and knows no
// topic. It does not sequence items, keep last ids, or match channels to
// sessions; that is the engine's work. Functions may be called from any
// goroutine; values are not protected against concurrent change.
package grip
