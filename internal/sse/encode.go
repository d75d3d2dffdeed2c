package sse

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// The names of the events that the Pub/Sub app sends.
const (
	Message     = "message"        // a payload that is UTF-8
	MessageB64  = "message-base64" // any other payload, in padded standard base64
	StreamOpen  = "stream-open"    // the first event of a stream that was accepted
	KeepAlive   = "keep-alive"     // sent when nothing else was for 55 s
	StreamError = "stream-error"   // a refusal; the body ends after it
)

// The complete events without content.
const (
	// OpenEvent begins every accepted stream.
	OpenEvent = "event: " + StreamOpen + "\ndata: \n\n"
	// KeepAliveEvent is written on an idle stream.
	KeepAliveEvent = "event: " + KeepAlive + "\ndata: \n\n"
)

// AppendMessage appends the event that carries a payload (pubsub-app contract,
// 4.5): message if data is UTF-8 as a whole, else message-base64. An empty id
// writes no id line.
func AppendMessage(dst, data, id []byte) []byte {
	if utf8.Valid(data) {
		dst = append(dst, "event: "+Message+"\n"...)
		return appendData(appendID(dst, id), data)
	}
	dst = append(dst, "event: "+MessageB64+"\n"...)
	dst = append(appendID(dst, id), "data: "...)
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, "\n\n"...)
}

// AppendEvent appends an event of any name, without an id.
func AppendEvent(dst []byte, event string, data []byte) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, event...)
	return appendData(append(dst, '\n'), data)
}

// AppendStreamError appends the event that refuses or ends a stream: a JSON
// object of condition and text (pubsub-app contract, 4.2).
func AppendStreamError(dst []byte, condition, text string) []byte {
	dst = append(dst, "event: "+StreamError+"\ndata: {\"condition\":"...)
	dst = appendJSON(dst, condition)
	dst = append(dst, ",\"text\":"...)
	dst = appendJSON(dst, text)
	return append(dst, "}\n\n"...)
}

func appendID(dst, id []byte) []byte {
	if len(id) == 0 {
		return dst
	}
	dst = append(dst, "id: "...)
	dst = append(dst, id...)
	return append(dst, '\n')
}

// appendData writes one data line for each piece between line feeds, and the
// empty line that ends an event.
func appendData(dst, data []byte) []byte {
	for {
		dst = append(dst, "data: "...)
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			dst = append(dst, data...)
			return append(dst, "\n\n"...)
		}
		dst = append(dst, data[:end+1]...)
		data = data[end+1:]
	}
}

// appendJSON writes s as a JSON string. Only what JSON demands is escaped, so
// that no line end can get into the event, in the short form where JSON has one;
// bytes that are not UTF-8 become U+FFFD.
func appendJSON(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case '\b' <= r && r <= '\r' && r != '\v': // JSON has no \v
			dst = append(dst, '\\', "btn.fr"[r-'\b'])
		case r < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, digits[r>>4], digits[r&0xF])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
