// Package grip is GRIP as data: the instructions an origin gives, the items a
// publisher sends, the events and control messages of WebSocket-over-HTTP.
//
// It decodes and encodes; it does no I/O, holds no connection and knows no topic.
package grip
