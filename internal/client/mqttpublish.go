package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

// packetsAhead is how many messages may be on their way unless the caller says
// otherwise. The service has read a message when it answers the next ping.
const packetsAhead = 512

// ErrEchoOnly says that the service returns messages to their sender and hands
// them to nobody else. That is what the app does when it has no publish-token;
// over MQTT a publisher sees nothing else of it.
var ErrEchoOnly = errors.New("the message came back to its sender, who had not subscribed")

var (
	errNoToken  = errors.New("without a token the service drops what is published over MQTT")
	errReserved = errors.New("what is published over MQTT to a topic that begins with $ is dropped")
	errNoStore  = errors.New("the service says that it retains no messages")
)

// checkPublish finds what the app would drop without a word (7.6), and until
// when the token is good; the zero time is for ever. Signature and key cannot be
// judged here.
func checkPublish(topic pubsub.Topic, tok string) (until time.Time, err error) {
	if err := checkName(opPublish, topic); err != nil {
		return until, err
	}
	if strings.HasPrefix(string(topic), "$") {
		return until, &Error{Op: opPublish, Category: CategoryUsage, Reason: "bad_argument", Topic: topic, Err: errReserved}
	}
	deny := func(reason string, err error) error {
		return &Error{Op: opPublish, Category: CategoryAuth, Reason: reason, Topic: topic, Err: err}
	}
	if tok == "" {
		return until, deny("missing", errNoToken)
	}
	r, err := token.Inspect(context.Background(), tok, nil, time.Now())
	switch {
	case err != nil:
		return until, deny("invalid_token", err)
	case r.Claim != "":
		return until, deny("invalid_token", errors.New(r.Reason))
	case !pubsub.Grant{Write: r.Write}.CanWrite(topic):
		return until, deny("topic_not_granted", errors.New("the token does not grant write to the topic"))
	}
	return r.AcceptedUntil, nil
}

// publishPacket sends one message over a connection of its own.
func (c *Client) publishPacket(ctx context.Context, topic pubsub.Topic, body []byte, o PublishOptions) (Published, error) {
	var sent Sent
	next := func(_ context.Context, n int) ([]byte, error) {
		if n > 1 {
			return nil, io.EOF
		}
		return body, nil
	}
	err := c.PublishAll(ctx, topic, next, BatchOptions{Message: o, Parallel: 1}, func(s Sent) error { sent = s; return s.Err })
	return sent.Published, err
}

// packetLine publishes over MQTT, one connection at a time. QoS 0 has no
// acknowledgement, but the service handles packets in order: when a ping is
// answered, all messages before it have been read. One ping covers a burst.
type packetLine struct {
	// Static after construction.
	client  *Client
	message mqtt.Message // without a payload
	ahead   int
	report  func(Sent)
	over    <-chan struct{} // closed when what is still waiting need not be sent

	// Owned by the writer.
	link   *packetLink // nil if there is none
	out    []byte
	burst  int  // flights since the last ping
	spoken bool // since the last tick
}

// packetLink is one connection of a packetLine, and its reader.
type packetLink struct {
	// Static after construction.
	session *session
	until   time.Time         // when its token ends; zero is never
	sent    chan packetFlight // writer to reader, in the order of the connection
	report  func(Sent)

	reader  sync.WaitGroup
	flights sync.WaitGroup // not yet reported
	dead    atomic.Bool    // the reader has given up

	echoed bool // owned by the reader: something came back since the last ping
}

// packetFlight is a message that was written.
type packetFlight struct {
	n, size int // n is 0 for a ping without a message
	began   time.Time
	ping    bool // a ping followed it
}

// dialPackets checks what can be and connects.
func (b *batch) dialPackets(ctx context.Context, over <-chan struct{}) (*packetLine, error) {
	seconds, limited, err := b.options.Message.kept()
	if err != nil {
		return nil, err
	}
	p := &packetLine{
		client: b.client, ahead: b.options.Parallel, report: b.report, over: over,
		message: mqtt.Message{Topic: b.topic, Retain: b.options.Message.Retain, Expiry: seconds, Expires: limited},
	}
	return p, p.open(ctx)
}

// open makes a connection with the token of the hour.
func (p *packetLine) open(ctx context.Context) error {
	tok, err := p.client.password(ctx, opPublish)
	if err != nil {
		return err
	}
	until, err := checkPublish(p.message.Topic, tok)
	if err != nil {
		return err
	}
	s, err := p.login(ctx)
	if err != nil {
		return err
	}
	if p.message.Retain && !s.limits.stores {
		s.close()
		return &Error{Op: opPublish, Category: CategoryAPI, Reason: "bad_request", Err: errNoStore}
	}
	p.link = &packetLink{session: s, until: until, sent: make(chan packetFlight, p.ahead), report: p.report}
	p.link.reader.Go(p.link.readAll) // ends when the link is shut
	return nil
}

func (p *packetLine) login(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(p.client.timeout(), func() { cancel(errTimeout) })
	defer late.Stop()
	return p.client.login(ctx, cancel, opPublish, overdue{p.client.timeout(), errTimeout})
}

// shut waits until all messages on the connection are reported, and ends it.
func (p *packetLine) shut() {
	if p.link == nil {
		return
	}
	if p.burst > 0 {
		p.fly(packetFlight{ping: true}, nil)
	}
	p.link.flights.Wait()
	close(p.link.sent)
	p.link.session.close()
	p.link.reader.Wait()
	p.link = nil
}

// refresh makes a new connection if this one is of no more use. The app checks
// the token of a connection at each message and drops it silently after the
// end, and there is no way to hand in another.
func (p *packetLine) refresh(ctx context.Context) error {
	if p.link != nil && !p.link.dead.Load() {
		tok, err := p.client.password(ctx, opPublish)
		if err != nil {
			return err
		}
		late := !p.link.until.IsZero() && time.Now().After(p.link.until)
		if tok == p.link.session.token && !late {
			return nil
		}
	}
	p.shut()
	return p.open(ctx)
}

// run carries the jobs of work until it is closed, and returns once all are
// reported.
func (p *packetLine) run(ctx context.Context, work <-chan job) {
	idle := time.NewTicker(p.link.session.limits.ping)
	defer idle.Stop()
	for p.step(ctx, work, idle.C) {
	}
	p.shut()
}

// step writes a message, or a ping when there is nothing to say; it reports
// whether there may be more.
func (p *packetLine) step(ctx context.Context, work <-chan job, idle <-chan time.Time) bool {
	select {
	case j, ok := <-work:
		if !ok {
			return false
		}
		if !p.stopped() {
			p.publish(ctx, j, len(work) == 0)
		}
	case <-idle:
		if !p.spoken && p.link != nil {
			p.fly(packetFlight{ping: true}, nil)
		}
		p.spoken = false
	}
	return true
}

// stopped reports whether the batch has failed: what waits then would be sent
// on a new connection, after the caller was told that it is over.
func (p *packetLine) stopped() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

// publish writes a message, and a ping behind the last one of a burst.
func (p *packetLine) publish(ctx context.Context, j job, last bool) {
	began := time.Now()
	packet, err := p.packet(ctx, j.body)
	if err != nil {
		p.report(Sent{N: j.n, Size: len(j.body), Err: err})
		if last && p.burst > 0 { // it must not end without its ping
			p.fly(packetFlight{ping: true}, nil)
		}
		return
	}
	// Half of what may be ahead, so that the next burst has room while this one is
	// on its way.
	last = last || p.burst+1 >= max(1, p.ahead/2)
	p.fly(packetFlight{n: j.n, size: len(j.body), began: began, ping: last}, packet)
}

// packet makes the PUBLISH, valid until the next, for a connection that can
// carry it.
func (p *packetLine) packet(ctx context.Context, body []byte) ([]byte, error) {
	if len(body) > pubsub.MaxPayload {
		return nil, tooLarge(len(body))
	}
	if err := p.refresh(ctx); err != nil {
		return nil, err
	}
	m := p.message
	m.Payload = body
	var err error
	if p.out, err = mqtt.AppendPublish(p.out[:0], m); err != nil {
		return nil, &Error{Op: opPublish, Category: CategoryInternal, Reason: "request", Err: err}
	}
	if most := p.link.session.limits.packet; len(p.out) > most {
		err := fmt.Errorf("the packet is %d bytes, topic included, and the service takes %d", len(p.out), most)
		return nil, &Error{Op: opPublish, Category: CategoryUsage, Reason: "too_large", Err: err}
	}
	return p.out, nil
}

// fly writes a packet, if there is one, and a ping if the flight wants it. What
// cannot be written is reported by the reader, whose connection then ends.
func (p *packetLine) fly(f packetFlight, packet []byte) {
	s := p.link.session
	if p.spoken = true; p.burst == 0 {
		s.patience.expect() // the answer to the ping at the end of this burst
		s.wire.hold()
	}
	p.burst++
	if f.ping {
		p.burst = 0
	}
	if err := s.burst(packet, f.ping); err != nil {
		s.cancel(err)
	}
	p.link.flights.Add(1)
	p.link.sent <- f // there is room, or a ping is on its way that makes some
}

// burst writes what a flight consists of.
func (s *session) burst(packet []byte, ping bool) error {
	if packet != nil {
		if err := s.write(mqtt.TypePublish, packet); err != nil {
			return err
		}
	}
	if !ping {
		return nil
	}
	if err := s.write(mqtt.TypePingreq, mqtt.AppendPingreq(nil)); err != nil {
		return err
	}
	if err := s.wire.release(); err != nil {
		return s.broken(err)
	}
	return nil
}

// readAll reports flights as their pings are answered. Once the connection is
// of no more use, every flight still on it gets the same error.
func (l *packetLink) readAll() {
	err := l.follow()
	l.dead.Store(true)
	l.session.cancel(err) // a writer that waits for room on the connection goes on
	for f := range l.sent {
		l.landed(f, err)
	}
}

// follow reads until the session ends.
func (l *packetLink) follow() error {
	for {
		a, err := l.session.read()
		if err != nil {
			return err
		}
		switch a.Type() {
		case mqtt.TypePingresp:
			l.session.patience.met()
			l.land()
		case mqtt.TypePublish:
			l.echoed = true // this connection has subscribed to nothing
		case mqtt.TypeDisconnect:
			return l.session.disconnected(a)
		}
	}
}

// land reports the flights up to the ping that was answered.
func (l *packetLink) land() {
	var err error
	if l.echoed {
		err = &Error{Op: opPublish, Category: CategoryAPI, Reason: "publish_failed", Sent: true, Err: ErrEchoOnly}
	}
	for f := range l.sent {
		l.landed(f, err)
		if f.ping {
			break
		}
	}
	l.echoed = false
}

func (l *packetLink) landed(f packetFlight, err error) {
	defer l.flights.Done()
	if f.n > 0 {
		l.report(Sent{N: f.n, Size: f.size, Published: Published{Took: time.Since(f.began), began: f.began}, Err: err})
	}
}
