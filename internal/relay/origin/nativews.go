package origin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it; it protects nothing
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

const (
	// maxMessage bounds a message of an origin, in bytes: more than that could not
	// wait for its client.
	maxMessage = 4 << 20
	// closeWait is how long an origin may take to answer a close frame.
	closeWait = 5 * time.Second
	// writeTimeout is how long an origin may take nothing.
	writeTimeout = 20 * time.Second
)

// native is a bridge to a WebSocket origin (grip.md, 5.8). Frames of the client
// come by Events, those of the origin are read by a goroutine that ends with the
// connection; each side that ends makes the other one end.
type native struct {
	session
	conn   net.Conn
	closed chan []byte // capacity 1: the content of the origin's close frame

	mu     sync.Mutex // guards the following and writes to conn
	asked  bool       // a close frame was sent, and Events waits for the answer
	answer []byte     // the content of the origin's close frame, if it came unasked
	ended  bool       // the origin's side is over
}

// open makes the handshake with the origin.
func (n *native) open(ctx context.Context) (*fanout.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := n.target.startOpening(ctx); err != nil {
		return nil, err
	}
	defer func() { <-n.target.opening }()
	conn, err := n.target.connect(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	reply, r, err := n.handshake(conn)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil || reply.Refuse != nil {
		_ = conn.Close()
		return reply, err
	}
	if !n.backend.proxy.track(conn) {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	n.conn, n.closed = conn, make(chan []byte, 1)
	go n.read(r) // ends when conn is closed
	return reply, nil
}

// handshake asks the origin for a socket.
func (n *native) handshake(conn net.Conn) (*fanout.Reply, *bufio.Reader, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	header := maps.Clone(n.header)
	header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	header["Sec-WebSocket-Version"], header["Sec-WebSocket-Key"] = []string{"13"}, []string{key}
	if !n.backend.route.noGrip {
		header["Sec-WebSocket-Extensions"] = []string{"grip"}
	}
	n.backend.sign(header, nil)
	r := n.socket.Handshake
	host := n.host
	if n.target.host != "" {
		host = n.target.host
	}
	req := &http.Request{
		Method: http.MethodGet, URL: requestURL(n.target.upstream, n.backend.route.rewrite(r.Path), r.RawQuery),
		Host: host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if err := req.Write(conn); err != nil {
		return nil, nil, err
	}
	head := &io.LimitedReader{R: conn, N: maxHead}
	in := bufio.NewReader(head)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return nil, nil, fmt.Errorf("read answer to handshake: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxBuffered+1))
		if err == nil && len(body) > maxBuffered {
			err = errors.New("origin refused the socket with more than it may")
		}
		return n.refusal(resp, body), nil, err
	}
	if resp.Header.Get("Sec-WebSocket-Accept") != acceptKey(key) {
		return nil, nil, errors.New("origin accepted another socket than it was asked for")
	}
	head.N = 1 << 62 // the head is over; messages have a bound of their own
	return n.accept(resp), in, nil
}

// acceptKey is what proves that a handshake was understood (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (n *native) accept(resp *http.Response) *fanout.Reply {
	n.agree(resp.Header)
	return &fanout.Reply{
		Header: n.accepted(resp.Header), Events: []grip.Event{{Type: grip.EventOpen}}, Control: n.implicit(),
	}
}

// read gives the client what the origin sends, one message at a time: the next one
// is read when the socket has taken the last.
func (n *native) read(r *bufio.Reader) {
	defer n.backend.proxy.untrack(n.conn)
	defer n.drop()
	m := messages{in: r}
	for {
		e, err := m.next()
		if err != nil {
			n.over(err)
			return
		}
		if e.Type == grip.EventClose {
			n.closes(e)
			return
		}
		c := new(script)
		n.take(c, []grip.Event{e})
		if c.last != nil && !n.socket.Push(&c.first) || c.ended {
			return
		}
	}
}

// closes passes the origin's close frame on, as an answer if it is one.
func (n *native) closes(e grip.Event) {
	n.mu.Lock()
	asked := n.asked
	n.ended = true
	if !asked {
		n.answer = e.Content
		_ = n.write(ws.OpClose, e.Content) // an answer in turn; nothing follows it
	}
	n.mu.Unlock()
	if asked {
		n.closed <- e.Content
		return
	}
	c := new(script)
	n.message(c, e)
	n.socket.Push(&c.first)
}

// over drops the client when the origin is gone without a close frame.
func (n *native) over(err error) {
	n.mu.Lock()
	asked, ended := n.asked, n.ended
	n.ended = true
	n.mu.Unlock()
	close(n.closed)
	if ended || asked {
		return
	}
	if !errors.Is(err, net.ErrClosed) {
		n.backend.tell("socket failed", n.socket.Handshake, err)
	}
	n.socket.Push(&fanout.Reply{Events: []grip.Event{{Type: grip.EventDisconnect}}})
}

// events implements bridge.
func (n *native) events(_ context.Context, in []grip.Event) (*fanout.Reply, error) {
	for _, e := range in {
		switch e.Type {
		case grip.EventDisconnect:
			n.drop()
			return new(fanout.Reply), nil
		case grip.EventClose:
			return n.close(e)
		default:
			if err := n.send(e); err != nil {
				n.drop() // nobody tells of an end that an error makes
				return nil, err
			}
		}
	}
	return new(fanout.Reply), nil
}

func (n *native) drop() {
	n.mu.Lock()
	n.ended = true
	n.mu.Unlock()
	_ = n.conn.Close()
}

func (n *native) send(e grip.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return nil // its end is on the way to the client
	}
	return n.write(opOf(e.Type), e.Content)
}

// close tells the origin that the client closes and waits for what it says.
func (n *native) close(e grip.Event) (*fanout.Reply, error) {
	n.mu.Lock()
	if n.ended {
		answer := n.answer
		n.mu.Unlock()
		return n.closing(answer), nil
	}
	n.asked = true
	err := n.write(ws.OpClose, e.Content)
	n.mu.Unlock()
	if err != nil {
		n.drop()
		return nil, err
	}
	late := time.AfterFunc(closeWait, n.drop)
	defer late.Stop()
	answer, ok := <-n.closed
	if !ok {
		return nil, errors.New("origin did not answer the close")
	}
	return n.closing(answer), nil
}

func (n *native) closing(content []byte) *fanout.Reply {
	c := new(script)
	n.message(c, grip.Event{Type: grip.EventClose, Content: content})
	return &c.first
}

// write sends one frame. The caller holds n.mu.
func (n *native) write(op ws.OpCode, content []byte) error {
	f := ws.MaskFrame(ws.NewFrame(op, true, content))
	out := bytes.NewBuffer(make([]byte, 0, ws.HeaderSize(f.Header)+len(content)))
	if err := ws.WriteFrame(out, f); err != nil {
		return err
	}
	_ = n.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := n.conn.Write(out.Bytes())
	return err
}

func opOf(t grip.EventType) ws.OpCode {
	switch t {
	case grip.EventBinary:
		return ws.OpBinary
	case grip.EventPing:
		return ws.OpPing
	case grip.EventPong:
		return ws.OpPong
	}
	return ws.OpText
}

// messages reads an origin's messages, whole.
type messages struct {
	in      io.Reader
	content []byte // of the fragments so far
	op      ws.OpCode
	open    bool // a fragmented message has begun
}

// next returns the next message or control frame.
func (m *messages) next() (grip.Event, error) {
	for {
		h, err := ws.ReadHeader(m.in)
		if err == nil {
			err = m.check(h)
		}
		if err != nil {
			return grip.Event{}, err
		}
		content, err := readContent(m.in, h.Length)
		if err != nil {
			return grip.Event{}, err
		}
		switch {
		case h.OpCode.IsControl(), h.Fin && !m.open:
			return grip.Event{Type: eventOf(h.OpCode), Content: content}, nil
		case !m.open:
			m.open, m.op, m.content = true, h.OpCode, nil
		}
		m.content = append(m.content, content...)
		if h.Fin {
			whole := m.content
			m.open, m.content = false, nil
			return grip.Event{Type: eventOf(m.op), Content: whole}, nil
		}
	}
}

// readContent takes room as content comes: a length is easily said.
func readContent(r io.Reader, n int64) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, min(n, 4<<10)))
	got, err := io.CopyN(buf, r, n)
	if errors.Is(err, io.EOF) && got < n {
		err = io.ErrUnexpectedEOF
	}
	return buf.Bytes(), err
}

// check refuses what no origin may send (RFC 6455, 5).
func (m *messages) check(h ws.Header) error {
	control := h.OpCode.IsControl()
	switch {
	case h.Rsv != 0:
		return errors.New("origin sets reserved bits: no extension was agreed on")
	case h.Masked:
		return errors.New("origin masks its frames")
	case control && (!h.Fin || h.Length > ws.MaxControlFramePayloadSize):
		return errors.New("control frame of the origin is fragmented or too long")
	case eventOf(h.OpCode) == grip.EventUnknown && h.OpCode != ws.OpContinuation:
		return errors.New("origin sends an unknown opcode")
	case !control && (h.OpCode == ws.OpContinuation) != m.open:
		return errors.New("origin continues what has not begun, or begins within a message")
	case h.Length > maxMessage-int64(len(m.content)):
		return errors.New("message of the origin is longer than 4 MiB")
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
