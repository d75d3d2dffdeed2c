package fanout

import (
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// maxMessage is how long a client's WebSocket message may be, in bytes.
const maxMessage = 1 << 20

// frameFault is why a socket is closed because of what its client sent.
type frameFault struct {
	code ws.StatusCode
	text string
}

func (f *frameFault) Error() string { return f.text }

// Faults of a client's frames (RFC 6455, 5).
var (
	errReserved  = &frameFault{ws.StatusProtocolError, "reserved bits are set: no extension was agreed on"}
	errUnmasked  = &frameFault{ws.StatusProtocolError, "frame is not masked"}
	errOpcode    = &frameFault{ws.StatusProtocolError, "unknown opcode"}
	errControl   = &frameFault{ws.StatusProtocolError, "control frame is fragmented or too long"}
	errContinued = &frameFault{ws.StatusProtocolError, "continuation without a beginning, or a beginning within"}
	errTooBig    = &frameFault{ws.StatusMessageTooBig, "message is too long"}
	errRest      = &frameFault{ws.StatusMessageTooBig, "too much content was not accepted"}
)

// frames reassembles a client's messages. Owned by the socket's shard.
type frames struct {
	held    []byte // the beginning of a frame that is not complete
	message []byte // the fragments of a message so far
	op      ws.OpCode
	open    bool // a fragmented message has begun
}

// read appends the events in what was held and p to dst. Their content is
// unmasked in place and stays valid until p changes or read is called again.
func (f *frames) read(dst []grip.Event, p []byte) ([]grip.Event, error) {
	data := p
	if len(f.held) > 0 {
		f.held = append(f.held, p...)
		data = f.held
	}
	for len(data) > 0 {
		h, n, err := parseFrameHeader(data)
		if err == nil && n > 0 {
			err = f.check(h)
		}
		if err != nil {
			return dst, err
		}
		if n == 0 || int64(len(data)-n) < h.Length {
			break
		}
		content := data[n : n+int(h.Length) : n+int(h.Length)]
		ws.Cipher(content, h.Mask, 0)
		dst = f.take(dst, h, content)
		data = data[n+int(h.Length):]
	}
	f.keep(data)
	return dst, nil
}

// keep holds on to an incomplete frame. What read has returned may lie in
// f.held, so that is left alone.
func (f *frames) keep(rest []byte) {
	if len(rest) == 0 {
		f.held = nil
		return
	}
	if len(f.held) == len(rest) {
		return // nothing was taken
	}
	f.held = append([]byte(nil), rest...)
}

// take makes an event of a complete frame, unless it is a part of a message.
func (f *frames) take(dst []grip.Event, h ws.Header, content []byte) []grip.Event {
	if h.OpCode.IsControl() {
		return append(dst, grip.Event{Type: eventOf(h.OpCode), Content: content})
	}
	if h.Fin && !f.open {
		return append(dst, grip.Event{Type: eventOf(h.OpCode), Content: content})
	}
	if !f.open {
		f.open, f.op, f.message = true, h.OpCode, nil
	}
	f.message = append(f.message, content...)
	if !h.Fin {
		return dst
	}
	whole := f.message
	f.open, f.message = false, nil
	return append(dst, grip.Event{Type: eventOf(f.op), Content: whole})
}

// check refuses what no client may send.
func (f *frames) check(h ws.Header) error {
	switch {
	case h.Rsv != 0:
		return errReserved
	case !h.Masked:
		return errUnmasked
	case h.OpCode.IsControl() && (!h.Fin || h.Length > ws.MaxControlFramePayloadSize):
		return errControl
	case !h.OpCode.IsControl() && (h.OpCode == ws.OpContinuation) != f.open:
		return errContinued
	case !h.OpCode.IsControl() && h.Length > maxMessage-int64(len(f.message)):
		return errTooBig
	case eventOf(h.OpCode) == grip.EventUnknown && h.OpCode != ws.OpContinuation:
		return errOpcode
	}
	return nil
}

func eventOf(op ws.OpCode) grip.EventType {
	switch op {
	case ws.OpText:
		return grip.EventText
	case ws.OpBinary:
		return grip.EventBinary
	case ws.OpPing:
		return grip.EventPing
	case ws.OpPong:
		return grip.EventPong
	case ws.OpClose:
		return grip.EventClose
	}
	return grip.EventUnknown
}

// parseFrameHeader reads a frame's header (RFC 6455, 5.2) and returns its
// length, 0 if it is incomplete. It is ws.ReadHeader for bytes that are there:
// that one allocates for each frame.
func parseFrameHeader(b []byte) (h ws.Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.Fin, h.Rsv, h.OpCode = b[0]&0x80 != 0, b[0]>>4&7, ws.OpCode(b[0]&0x0f)
	h.Masked, h.Length, n = b[1]&0x80 != 0, int64(b[1]&0x7f), 2
	switch h.Length {
	case 126:
		if len(b) < 4 {
			return h, 0, nil
		}
		h.Length, n = int64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return h, 0, nil
		}
		long := binary.BigEndian.Uint64(b[2:])
		if long > maxMessage {
			return h, 0, errTooBig
		}
		h.Length, n = int64(long), 10
	}
	if h.Masked {
		if len(b) < n+4 {
			return h, 0, nil
		}
		copy(h.Mask[:], b[n:])
		n += 4
	}
	return h, n, nil
}

// appendFrame writes one unmasked server frame.
func appendFrame(dst []byte, op ws.OpCode, content []byte) []byte {
	dst = append(dst, 0x80|byte(op))
	switch n := len(content); {
	case n < 126:
		dst = append(dst, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, content...)
}

// closeFrame is a close frame with a code that may be on the wire (grip.md, 5.6).
func closeFrame(code int, reason string) []byte {
	legal, _ := grip.LegalClose(code)
	return appendFrame(nil, ws.OpClose, grip.AppendClose(nil, legal, reason))
}

// messageFrame is the frame of a published message, nil if it is none.
func messageFrame(m *grip.WSMessage) []byte {
	if m == nil || m.Action != grip.Send {
		return nil
	}
	return appendFrame(make([]byte, 0, len(m.Content)+10), opOf(m.Type), m.Content)
}

func opOf(t grip.MessageType) ws.OpCode {
	switch t {
	case grip.Binary:
		return ws.OpBinary
	case grip.Ping:
		return ws.OpPing
	case grip.Pong:
		return ws.OpPong
	}
	return ws.OpText
}

// faultClose is the close frame for a client's fault.
func faultClose(err error) []byte {
	var f *frameFault
	if errors.As(err, &f) {
		return closeFrame(int(f.code), f.text)
	}
	return closeFrame(int(ws.StatusInternalServerError), "")
}
