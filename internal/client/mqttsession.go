package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	// This library dials over any http.RoundTripper, so proxies and certificates
	// come from the client's one transport, lets the caller say every header and
	// subprotocol, answers pings and never sends any unless told to, which the app
	// would leave unanswered (rule 15.6).
	"github.com/coder/websocket"

	"github.com/pubsubctl/pubsubctl/internal/mqtt"
)

const (
	// pingEvery is within the 30 to 60 s of rule 15.6.
	pingEvery = 45 * time.Second
	// announcedKeepAlive is what CONNECT says, in seconds; brokers that enforce
	// it allow half as much again.
	announcedKeepAlive = 60
	// pingGrace is how long the answer to a ping may take.
	pingGrace = 20 * time.Second
	// partingTime bounds the farewell: a service that is gone does not answer it.
	partingTime = 500 * time.Millisecond
	// mqttProtocol is offered alone: the app finds it only as a word by itself.
	mqttProtocol = "mqtt"
)

var (
	errNotMQTT   = errors.New("the answer is not a WebSocket that speaks MQTT")
	errNoConnack = errors.New("the answer to CONNECT is not a CONNACK")
)

// session is an MQTT connection that the service has accepted, which says
// nothing about the token yet (rule 15.7).
type session struct {
	// Static after login.
	client   *Client
	op       string
	ctx      context.Context // the connection's; its cause says who ended it
	cancel   context.CancelCauseFunc
	conn     *websocket.Conn
	wire     *wire
	patience *patience
	parted   chan struct{} // closed when the farewell is over
	token    string
	limits   limits

	in packets // owned by the reader
}

// limits is what a service says about itself in its CONNACK.
type limits struct {
	ping   time.Duration // between two pings
	packet int           // bytes the service takes in one packet
	stores bool          // it keeps retained messages
}

// overdue says what a session does about answers that do not come.
type overdue struct {
	after time.Duration
	cause error
}

// login dials and sends CONNECT. The session ends with ctx, which cancel must
// cancel; on failure cancel is called.
func (c *Client) login(ctx context.Context, cancel context.CancelCauseFunc, op string, late overdue) (*session, error) {
	s := &session{client: c, op: op, ctx: ctx, cancel: cancel, parted: make(chan struct{})}
	if err := s.dial(); err != nil {
		cancel(nil)
		return nil, err
	}
	s.patience = newPatience(late.after, func() { cancel(late.cause) })
	s.in = packets{conn: s.conn, patience: s.patience}
	context.AfterFunc(ctx, s.goodbye) // owned by the session; close waits for it
	if err := s.connect(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// dial makes the WebSocket. The credential is in CONNECT alone: the app reads
// none of the handshake's headers.
func (s *session) dial() (err error) {
	if s.token, err = s.client.password(s.ctx, s.op); err != nil {
		return err
	}
	u, err := s.client.endpoint("/mqtt", "")
	if err != nil {
		return &Error{Op: s.op, Category: CategoryConfig, Reason: "bad_url", Err: err}
	}
	way := &tap{client: s.client}
	conn, resp, err := websocket.Dial(s.ctx, u.String(), &websocket.DialOptions{ //nolint:bodyclose // the library closes the body of a handshake
		HTTPClient:   &http.Client{Transport: way, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		HTTPHeader:   http.Header{"User-Agent": {s.client.agent()}},
		Subprotocols: []string{mqttProtocol},
	})
	if err != nil {
		return s.noSocket(resp, err)
	}
	s.conn, s.wire = conn, way.wire
	s.conn.SetReadLimit(-1) // packets has a bound of its own and never holds a frame
	if conn.Subprotocol() == "" {
		_ = conn.CloseNow() // the answer was wrong, so its end is of no interest
		return s.protocol(errNotMQTT)
	}
	return nil
}

// noSocket says why a handshake failed.
func (s *session) noSocket(resp *http.Response, err error) error {
	switch {
	case resp == nil:
		return broken(s.ctx, s.op, err)
	case resp.StatusCode < 300 && fromApp(resp.Header), resp.StatusCode == http.StatusSwitchingProtocols:
		return s.protocol(errNotMQTT)
	}
	return refused(s.op, resp)
}

// password is the token, which goes into CONNECT as it is.
func (c *Client) password(ctx context.Context, op string) (string, error) {
	if c.Token == nil {
		return "", nil
	}
	tok, err := c.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("get token: %w", err)
	}
	if !visible(tok) || len(tok) > mqtt.MaxText {
		err := fmt.Errorf("the token holds a space or a byte outside visible ASCII, or is longer than %d bytes", mqtt.MaxText)
		return "", &Error{Op: op, Category: CategoryAuth, Reason: "invalid_token", Err: err}
	}
	return tok, nil
}

// connect sends CONNECT and judges the answer.
func (s *session) connect() error {
	login := mqtt.Login{ClientID: newClientID(), KeepAlive: announcedKeepAlive}
	if s.token != "" {
		login.Password = mqtt.Secret(s.token)
	}
	packet, err := mqtt.AppendConnect(nil, login)
	if err != nil {
		return &Error{Op: s.op, Category: CategoryInternal, Reason: "request", Err: err}
	}
	s.patience.expect()
	if err := s.write(mqtt.TypeConnect, packet); err != nil {
		return err
	}
	a, err := s.read()
	if err != nil {
		return err
	}
	s.patience.met()
	return s.connected(a)
}

func (s *session) connected(a mqtt.Answer) error {
	if a.Type() == mqtt.TypeDisconnect {
		return s.disconnected(a)
	}
	if a.Type() != mqtt.TypeConnack {
		return s.protocol(errNoConnack)
	}
	ack, err := a.Connack()
	if err != nil {
		return s.broken(err)
	}
	if ack.Code.Failure() {
		return refusedByCode(s.op, mqtt.TypeConnack, ack.Code, ack.Properties)
	}
	s.limits = limitsOf(ack.Properties)
	return nil
}

func limitsOf(p mqtt.Properties) limits {
	l := limits{ping: pingEvery, packet: maxPacket, stores: true}
	if n, ok := p.Number(mqtt.ServerKeepAlive); ok && n > 0 {
		l.ping = min(pingEvery, time.Duration(n)*time.Second*3/4)
	}
	if n, ok := p.Number(mqtt.MaximumPacketSize); ok {
		l.packet = min(l.packet, int(n))
	}
	if n, ok := p.Number(mqtt.RetainAvailable); ok {
		l.stores = n == 1
	}
	return l
}

// newClientID is unique, because equal ids hide messages from each other on the
// app and throw each other out elsewhere. Its 23 letters and digits are what
// every server must accept (MQTT 5, 3.1.3.1).
func newClientID() string { return "pubsubctl" + rand.Text()[:14] }

// write sends one packet in a frame of its own. Any goroutine may.
func (s *session) write(t mqtt.Type, packet []byte) error {
	s.log("packet sent", t, len(packet))
	// What hangs is ended by closing the connection; a context here would cost
	// a timer per message.
	if err := s.conn.Write(context.Background(), websocket.MessageBinary, packet); err != nil {
		return s.broken(err)
	}
	return nil
}

// ping asks for a sign of life; the app uses the occasion to deliver what it
// stored.
func (s *session) ping() error {
	s.patience.expect()
	return s.write(mqtt.TypePingreq, mqtt.AppendPingreq(nil))
}

// read waits for a packet, valid until the next read.
func (s *session) read() (mqtt.Answer, error) {
	a, err := s.in.next()
	if err != nil {
		return a, s.broken(err)
	}
	s.log("packet received", a.Type(), s.in.size)
	return a, nil
}

func (s *session) log(what string, t mqtt.Type, size int) {
	if s.client.debugs(s.ctx) {
		s.client.Log.LogAttrs(s.ctx, slog.LevelDebug, what, slog.String("cause", t.String()), slog.Int("bytes", size))
	}
}

// disconnected is the error for a farewell of the service.
func (s *session) disconnected(a mqtt.Answer) error {
	d, err := a.Disconnect()
	if err != nil {
		return s.broken(err)
	}
	return refusedByCode(s.op, mqtt.TypeDisconnect, d.Code, d.Properties)
}

// hungUp is a WebSocket that the service closed.
type hungUp websocket.StatusCode

// Error names the code.
func (h hungUp) Error() string {
	return fmt.Sprintf("the service closed the WebSocket with code %d", int(h))
}

// broken makes the error for a connection that failed.
func (s *session) broken(err error) error {
	var bad mqtt.Malformed
	var large *mqtt.TooLargeError
	code := websocket.CloseStatus(err)
	switch {
	case errors.As(err, &bad), errors.As(err, &large), errors.Is(err, errNotBinary):
		return s.protocol(err)
	case code != -1:
		err = hungUp(code)
	case errors.Is(err, net.ErrClosed):
		err = io.EOF
	}
	return broken(s.ctx, s.op, err)
}

// protocol is the error for a service that does not keep to the protocol. It
// may be another one after a restart, so that a lost connection is tried again.
func (s *session) protocol(err error) error {
	return &Error{Op: s.op, Category: CategoryAPI, Reason: "protocol", Retryable: true, Err: err}
}

// goodbye ends the connection politely if the service takes part, and in any
// case soon. It is called once, when the session's context ends.
func (s *session) goodbye() {
	defer close(s.parted)
	force := time.AfterFunc(partingTime, func() { _ = s.wire.Close() })
	defer force.Stop()
	_ = s.wire.release()
	_ = s.write(mqtt.TypeDisconnect, mqtt.AppendGoodbye(nil))
	// Whether the service answers changes nothing: the connection is gone after.
	_ = s.conn.Close(websocket.StatusNormalClosure, "")
}

// close ends the session and waits until that is done. A reader returns.
func (s *session) close() {
	s.cancel(nil)
	<-s.parted
	s.patience.leave()
}
