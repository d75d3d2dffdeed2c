package origin

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// peer is the origin's end of a native WebSocket.
type peer struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
	h http.Header // of the handshake
}

// natives starts a WebSocket origin that accepts with the headers; its ends come
// out of the channel.
func natives(t *testing.T, route string, headers ...string) (*rig, chan *peer) {
	t.Helper()
	peers := make(chan *peer, 4)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { c.Close() })
		if key := req.Header["Sec-Websocket-Key"]; len(key) == 1 {
			_, _ = c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Accept: " + acceptKey(key[0]) + "\r\n" + strings.ReplaceAll(lines(headers), "\n", "\r\n") + "\r\n"))
		}
		peers <- &peer{t, c, rw.Reader, req.Header}
	}, Options{Issuer: "i", Key: testKey(t, "k"), RouteHeader: true}, route)
	return r, peers
}

func (p *peer) frame(op ws.OpCode, text string) { p.write(ws.NewFrame(op, true, []byte(text))) }

func (p *peer) write(f ws.Frame) {
	p.t.Helper()
	if err := ws.WriteFrame(p.c, f); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) want(op ws.OpCode, text string) {
	p.t.Helper()
	f, err := readFrame(p.r)
	if err != nil || !f.Header.Masked {
		p.t.Fatalf("got %+v, %v", f.Header, err)
	}
	ws.Cipher(f.Payload, f.Header.Mask, 0)
	if f.Header.OpCode != op || string(f.Payload) != text {
		p.t.Fatalf("got opcode %d %q; want %d %q", f.Header.OpCode, f.Payload, op, text)
	}
}

func TestNativeWebSocketPassesEverything(t *testing.T) {
	r, peers := natives(t, "* ORIGIN", "Sec-WebSocket-Protocol: chat", "X-From-Origin: 1")
	c := r.socket("/n?a=1", "Sec-WebSocket-Protocol: chat", "Cookie: a=b", "Meta-User: evil", "Sec-WebSocket-Extensions: permessage-deflate")
	p := <-peers
	if p.h.Get("Cookie") != "a=b" || p.h.Get("Sec-WebSocket-Protocol") != "chat" || p.h.Get("Sec-WebSocket-Extensions") != "grip" ||
		p.h.Get("Grip-Sig") == "" || p.h.Get("Sec-WebSocket-Key") == "dGhlIHNhbXBsZSBub25jZQ==" || r.request(0).uri != "/n?a=1" {
		t.Errorf("origin got %v", p.h)
	}
	for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary, ws.OpPing, ws.OpPong} {
		c.frame(op, "up")
		p.want(op, "up")
		p.frame(op, "m:down")
		c.want(op, "m:down")
	}
	long := strings.Repeat("x", 300_000)
	p.write(ws.NewFrame(ws.OpText, false, []byte(long)))
	p.frame(ws.OpPing, "between")
	p.write(ws.NewFrame(ws.OpContinuation, true, []byte(long)))
	c.want(ws.OpPing, "between")
	c.want(ws.OpText, long+long)
	c.frame(ws.OpBinary, long)
	p.want(ws.OpBinary, long)
}

func TestG84GripOverNativeWebSocket(t *testing.T) {
	r, peers := natives(t, "*,prefix=p- ORIGIN,sub=s", "Sec-WebSocket-Extensions: grip")
	c := r.socket("/")
	p := <-peers
	p.frame(ws.OpText, `c:{"type":"subscribe","channel":"c"}`)
	p.frame(ws.OpText, "unprefixed")
	p.frame(ws.OpText, "m:ready")
	c.want(ws.OpText, "ready")
	for _, channel := range []string{"p-c", "p-s"} {
		r.publish(&grip.Item{Channel: channel, WSMessage: &grip.WSMessage{Content: []byte(channel)}})
		c.want(ws.OpText, channel)
	}
}

func TestNativeCloseFromTheClient(t *testing.T) {
	r, peers := natives(t, "* ORIGIN")
	c := r.socket("/")
	p := <-peers
	c.frame(ws.OpClose, closeBye)
	p.want(ws.OpClose, closeBye)
	p.frame(ws.OpClose, "\x0f\xa2later")
	c.want(ws.OpClose, "\x0f\xa2later")
	c.wantEnd()
}

func TestNativeCloseFromTheOrigin(t *testing.T) {
	r, peers := natives(t, "* ORIGIN")
	c := r.socket("/")
	p := <-peers
	p.frame(ws.OpText, "last")
	p.frame(ws.OpClose, "\x0f\xa2zz")
	c.want(ws.OpText, "last")
	c.want(ws.OpClose, "\x0f\xa2zz")
	p.want(ws.OpClose, "\x0f\xa2zz")
	c.frame(ws.OpClose, "\x0f\xa2zz")
	c.wantEnd()
}

func TestNativeEitherSideDroppingDropsTheOther(t *testing.T) {
	r, peers := natives(t, "* ORIGIN")
	c := r.socket("/")
	p := <-peers
	_ = p.c.Close()
	c.wantEnd()
	c = r.socket("/")
	p = <-peers
	_ = c.c.Close()
	if b, err := p.r.ReadByte(); err == nil {
		t.Errorf("origin read %d", b)
	}
}

func TestNativeOriginThatBreaksTheRulesDrops(t *testing.T) {
	for name, frame := range map[string]string{
		"masked": "\x81\x81abcdx", "reserved bit": "\xc1\x01x", "opcode": "\x83\x01x", "continuation": "\x80\x01x",
		"long ping": "\x89\x7e\x01\x00", "too long": "\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff", "negative": "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			r, peers := natives(t, "* ORIGIN")
			c := r.socket("/")
			_, _ = (<-peers).c.Write([]byte(frame))
			c.wantEnd()
		})
	}
}

func TestNativeRefusal(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Why", "1")
		http.Error(w, "nope", http.StatusForbidden)
	}, Options{}, "* ORIGIN")
	resp, body := r.do(get("/", strings.TrimSpace(handshakeHead)))
	if resp.StatusCode != 403 || body != "nope\n" || resp.Header.Get("X-Why") != "1" {
		t.Errorf("answered %s %v %q", resp.Status, resp.Header, body)
	}
}

func TestNativeFailsOver(t *testing.T) {
	r, peers := natives(t, "* "+refusing(t)+" ORIGIN")
	c := r.socket("/")
	(<-peers).frame(ws.OpText, "here")
	c.want(ws.OpText, "here")
}

func TestNativeWrongAcceptKey(t *testing.T) {
	r := &rig{t: t, log: new(logBook)}
	r.addr = rawOrigin(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
	r.start(Options{}, "* ORIGIN")
	if resp, body := r.do(get("/", strings.TrimSpace(handshakeHead))); resp.StatusCode != 502 || body != "Error while proxying to origin.\n" {
		t.Errorf("answered %s %q", resp.Status, body)
	}
}

func TestNativePublishedClose(t *testing.T) {
	r, peers := natives(t, "* ORIGIN,sub=s")
	c := r.socket("/")
	p := <-peers
	r.publish(&grip.Item{Channel: "s", WSMessage: &grip.WSMessage{Action: grip.Close, Code: 4000}})
	c.want(ws.OpClose, "\x0f\xa0")
	p.want(ws.OpClose, "")
}

func TestCloseEndsNativeSockets(t *testing.T) {
	r, peers := natives(t, "* ORIGIN")
	c := r.socket("/")
	p := <-peers
	r.proxy.Close()
	if _, err := p.r.ReadByte(); err == nil {
		t.Error("still open to the origin")
	}
	c.wantEnd()
}
