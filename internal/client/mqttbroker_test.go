package client

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

// broker is a service that speaks MQTT in memory, the way the app does unless a
// test says otherwise. It fits into a synctest bubble.
type broker struct {
	// Static once a client is connected.
	t       *testing.T
	tokens  bool                           // check the tokens, as the app does; else allow everything
	mute    bool                           // no publish token: what is published comes back to its sender only
	probe   string                         // what GET /events answers
	unnamed bool                           // choose no subprotocol
	pings   chan struct{}                  // WebSocket pings that arrived
	hook    func(*peer, mqtt.Request) bool // reports whether it took care of a packet

	mu     sync.Mutex // guards the following
	peers  []*peer    // all there ever were
	stored map[pubsub.Topic]string
	heard  []string
}

// peer is the broker's side of a connection. Its packets are handled by one
// goroutine; send may be called by any.
type peer struct {
	broker *broker
	conn   *websocket.Conn
	out    chan []byte // to the writing goroutine; nil ends it
	id     string
	token  string
	topics []string // guarded by broker.mu
}

// newBroker starts b and gives a client of it, whose token allows everything
// named.
func newBroker(t *testing.T, b *broker, topics ...string) *Client {
	b.t, b.pings, b.stored = t, make(chan struct{}, 1), map[pubsub.Topic]string{}
	l := &pipes{made: make(chan net.Conn), over: make(chan struct{})}
	srv := &http.Server{Handler: b}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(l) }) // ends with the test
	rt := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		rt.CloseIdleConnections()
		srv.Close()
		serving.Wait()
		select {
		case <-b.pings:
			t.Error("a WebSocket ping arrived, which the app would leave unanswered")
		default:
		}
	})
	return &Client{URL: "http://service.test", HTTP: rt, UserAgent: "test/1", Token: func(context.Context) (string, error) { return mint(t, topics...), nil }}
}

// mint makes a token for an hour.
func mint(t *testing.T, topics ...string) string {
	tok, err := token.Mint(token.MintOptions{KeyID: "k", Secret: []byte("s"), Read: topics, Write: topics, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// pipes is a listener in memory.
type pipes struct {
	made chan net.Conn
	once sync.Once
	over chan struct{}
}

func (l *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.made <- theirs:
		return ours, nil
	case <-l.over:
	case <-ctx.Done():
	}
	return nil, &net.OpError{Op: "dial", Err: io.EOF}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.made:
		return c, nil
	case <-l.over:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error   { l.once.Do(func() { close(l.over) }); return nil }
func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// ServeHTTP serves /mqtt, and /events for those who look for a reason.
func (b *broker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Max-Age", "3600")
	if r.URL.Path == "/events" {
		b.note("GET " + r.URL.RawQuery + " " + fmt.Sprint(len(r.Header.Get("Authorization")) > 0))
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, b.probe)
		return
	}
	b.note("handshake " + r.Header.Get("Sec-WebSocket-Protocol") + " " + r.Header.Get("Authorization") + r.UserAgent())
	if b.unnamed {
		r.Header.Del("Sec-WebSocket-Protocol")
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{"mqtt"}, InsecureSkipVerify: true,
		OnPingReceived: func(context.Context, []byte) bool { b.pings <- struct{}{}; return true },
	})
	if err != nil {
		b.t.Error(err)
		return
	}
	b.serve(&peer{broker: b, conn: conn, out: make(chan []byte, 1<<16)})
}

func (b *broker) serve(p *peer) {
	p.conn.SetReadLimit(1 << 20)
	b.mu.Lock()
	b.peers = append(b.peers, p)
	b.mu.Unlock()
	var writer sync.WaitGroup
	writer.Go(p.write) // ends with the nil below
	for {
		kind, frame, err := p.conn.Read(context.Background())
		if err != nil {
			break
		}
		r, n, err := mqtt.NextRequest(frame)
		if kind != websocket.MessageBinary || err != nil || n != len(frame) {
			b.t.Errorf("a frame of kind %v with %d bytes, %d of them a packet: %v", kind, len(frame), n, err)
		}
		b.handle(p, r)
	}
	p.out <- nil
	writer.Wait()
	p.conn.CloseNow()
}

func (p *peer) write() {
	for packet := range p.out {
		if packet == nil || p.conn.Write(context.Background(), websocket.MessageBinary, packet) != nil {
			return
		}
	}
}

func (b *broker) handle(p *peer, r mqtt.Request) {
	b.note(describePacket(r))
	if b.hook != nil && b.hook(p, r) {
		return
	}
	switch r.Type() {
	case mqtt.TypeConnect:
		c, _ := r.Connect()
		p.id, p.token = string(c.ClientID), string(c.Password)
		p.out <- mqtt.AppendConnack(nil, mqtt.Success)
	case mqtt.TypeSubscribe:
		b.subscribe(p, r)
	case mqtt.TypePublish:
		b.publish(p, r)
	case mqtt.TypePingreq:
		p.out <- mqtt.AppendPingresp(nil)
	}
}

func (b *broker) subscribe(p *peer, r mqtt.Request) {
	s, _ := r.Subscribe()
	topic := string(s.Filter)
	if b.tokens && !slices.Contains(b.grant(p).Read, topic) {
		p.out <- mqtt.AppendSuback(nil, s.PacketID, mqtt.NotAuthorized)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p.topics = append(p.topics, topic)
	p.out <- mqtt.AppendSuback(nil, s.PacketID, mqtt.Success)
	if text, ok := b.stored[pubsub.Topic(topic)]; ok && s.Options.RetainHandling == 0 {
		p.out <- publishPacket(mqtt.Message{Topic: pubsub.Topic(topic), Payload: []byte(text), Retain: true})
	}
}

func (b *broker) publish(p *peer, r mqtt.Request) {
	in, _ := r.Publish()
	m := mqtt.Message{Topic: pubsub.Topic(in.Topic), Payload: slices.Clone(in.Payload), Retain: in.Retain}
	if b.tokens && !slices.Contains(b.grant(p).Write, string(m.Topic)) {
		return
	}
	b.mu.Lock()
	if in.Retain {
		b.stored[m.Topic] = string(m.Payload)
	}
	b.mu.Unlock()
	if !b.mute {
		b.deliver(m)
	} else if !in.Retain {
		p.out <- publishPacket(m)
	}
}

// grant is what the app makes of a peer's token; the signature is not checked.
func (b *broker) grant(p *peer) token.Report {
	r, err := token.Inspect(context.Background(), p.token, nil, time.Now())
	if err != nil || r.Claim != "" {
		return token.Report{}
	}
	return r
}

// deliver sends m to all who subscribed.
func (b *broker) deliver(m mqtt.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.peers {
		if slices.Contains(p.topics, string(m.Topic)) {
			p.out <- publishPacket(m)
		}
	}
}

func publishPacket(m mqtt.Message) []byte {
	packet, err := mqtt.AppendPublish(nil, m)
	if err != nil {
		panic(err)
	}
	return packet
}

// describePacket is a line about a packet for comparing.
func describePacket(r mqtt.Request) string {
	line := r.Type().String()
	switch r.Type() {
	case mqtt.TypeSubscribe:
		s, err := r.Subscribe()
		line += fmt.Sprintf(" %d %s qos=%d nolocal=%t rap=%t rh=%d more=%d", s.PacketID, s.Filter, s.Options.QoS, s.Options.NoLocal, s.Options.RetainAsPublished, s.Options.RetainHandling, s.More)
		if err != nil {
			line += err.Error()
		}
	case mqtt.TypePublish:
		p, _ := r.Publish()
		line += fmt.Sprintf(" %s %s qos=%d retain=%t expires=%t,%d", p.Topic, p.Payload, p.QoS, p.Retain, p.Expires, p.Expiry)
	case mqtt.TypeDisconnect:
		if err := r.Disconnect(); err != nil {
			line += " " + err.Error()
		}
	}
	return line
}

func (b *broker) note(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = append(b.heard, line)
}

// lines gives what was heard that begins with one of the words.
func (b *broker) lines(words ...string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var got []string
	for _, line := range b.heard {
		if first, _, _ := strings.Cut(line, " "); slices.Contains(words, first) {
			got = append(got, line)
		}
	}
	return got
}

// drop ends a peer's connection without a word.
func (p *peer) drop() { p.conn.CloseNow() }
