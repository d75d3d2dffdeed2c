package client

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/coder/websocket"

	"github.com/pubsubctl/pubsubctl/internal/mqtt"
)

const (
	// maxPacket is the largest packet held in memory. The app's largest, a full
	// payload under the longest topic, is a tenth of it; the rest is for other
	// brokers.
	maxPacket = 1 << 20
	// firstBuffer holds an app's packet of the usual kind; it grows up to maxPacket.
	firstBuffer = 64 << 10
	// maxHeld is how many bytes of frames are joined into one write.
	maxHeld = 64 << 10
)

var errNotBinary = errors.New("a text frame where packets are binary")

// wire is the connection below a WebSocket. The library writes each frame on
// its own, which costs a system call per message; held, the frames of a burst
// leave together.
type wire struct {
	io.ReadWriteCloser // the connection; Close may be called at any time

	// turn has one element; who takes it may write and use the following. A wait
	// for it can be as long as a write, which is not for a mutex.
	turn    chan struct{}
	holding bool
	held    []byte
}

func newWire(rw io.ReadWriteCloser) *wire {
	w := &wire{ReadWriteCloser: rw, turn: make(chan struct{}, 1)}
	w.turn <- struct{}{}
	return w
}

func (w *wire) lock()   { <-w.turn }
func (w *wire) unlock() { w.turn <- struct{}{} }

// Write sends p, or keeps it until release or until enough has come together.
// Its error may be that of bytes held before.
func (w *wire) Write(p []byte) (int, error) {
	w.lock()
	defer w.unlock()
	if !w.holding {
		return w.ReadWriteCloser.Write(p)
	}
	if w.held = append(w.held, p...); len(w.held) < maxHeld {
		return len(p), nil
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// hold keeps what is written from now on.
func (w *wire) hold() {
	w.lock()
	defer w.unlock()
	w.holding = true
}

// release sends what was held, and holds nothing more.
func (w *wire) release() error {
	w.lock()
	defer w.unlock()
	w.holding = false
	return w.flush()
}

// flush belongs to who has the turn.
func (w *wire) flush() error {
	if len(w.held) == 0 {
		return nil
	}
	_, err := w.ReadWriteCloser.Write(w.held)
	w.held = w.held[:0]
	return err
}

// tap carries a WebSocket's handshake over the client's own HTTP transport, so
// proxies, certificates and logging are those of every other request, and puts
// a wire below the socket.
type tap struct {
	client *Client
	wire   *wire // set by RoundTrip if the server switched protocols
}

// RoundTrip sends the handshake.
func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.client.do(r)
	if err != nil {
		return nil, err
	}
	if rw, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		t.wire = newWire(rw)
		resp.Body = t.wire
	}
	return resp, nil
}

// packets cuts what a WebSocket brings into packets. Frames are taken as one
// stream of bytes, as MQTT wants it: the app sends a packet per frame, other
// brokers need not. All of it is owned by the reader.
type packets struct {
	conn     *websocket.Conn
	patience *patience

	frame    io.Reader // what is left of a frame, or nil
	buf      []byte
	from, to int // what of buf is not yet read
	size     int // of the packet that next returned last
}

// next waits for a packet. It is valid until the next call.
func (p *packets) next() (mqtt.Answer, error) {
	for {
		a, n, err := mqtt.NextAnswer(p.buf[p.from:p.to], maxPacket)
		if err != nil {
			return a, err
		}
		if n > 0 {
			p.from += n
			p.size = n
			return a, nil
		}
		if err := p.fill(); err != nil {
			return a, err
		}
	}
}

// fill waits for bytes, or for the next frame.
func (p *packets) fill() error {
	p.makeRoom()
	p.patience.enter()
	defer p.patience.leave()
	if p.frame == nil {
		kind, frame, err := p.conn.Reader(context.Background()) // closing the connection is what ends it
		if err != nil {
			return err
		}
		if kind != websocket.MessageBinary {
			return errNotBinary
		}
		p.frame = frame
	}
	n, err := p.frame.Read(p.buf[p.to:])
	p.to += n
	if errors.Is(err, io.EOF) {
		p.frame, err = nil, nil
	}
	return err
}

// makeRoom has place behind the bytes that wait. Those are an unfinished packet,
// which next has found to fit into maxPacket.
func (p *packets) makeRoom() {
	if p.from > 0 {
		p.to = copy(p.buf, p.buf[p.from:p.to])
		p.from = 0
	}
	if p.to < len(p.buf) {
		return
	}
	grown := make([]byte, min(max(firstBuffer, 2*len(p.buf)), maxPacket))
	copy(grown, p.buf)
	p.buf = grown
}
