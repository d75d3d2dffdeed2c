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

// checkPublish finds what the app would drop without a word (7.6). Signature
// and key cannot be judged here.
func checkPublish(topic pubsub.Topic, tok string) error {
	if err := checkName(opPublish, topic); err != nil {
		return err
	}
	if strings.HasPrefix(string(topic), "$") {
		return &Error{Op: opPublish, Category: CategoryUsage, Reason: "bad_argument", Topic: topic, Err: errReserved}
	}
	deny := func(reason string, err error) error {
		return &Error{Op: opPublish, Category: CategoryAuth, Reason: reason, Topic: topic, Err: err}
	}
	if tok == "" {
		return deny("missing", errNoToken)
	}
	r, err := token.Inspect(context.Background(), tok, nil, time.Now())
	switch {
	case err != nil:
		return deny("invalid_token", err)
	case r.Claim != "":
		return deny("invalid_token", errors.New(r.Reason))
	case !pubsub.Grant{Write: r.Write}.CanWrite(topic):
		return deny("topic_not_granted", errors.New("the token does not grant write to the topic"))
	}
	return nil
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

// packetLine publishes over one MQTT connection. QoS 0 has no acknowledgement,
// but the service handles packets in order: when a ping is answered, all
// messages before it have been read. One ping covers a burst.
type packetLine struct {
	// Static after construction.
	session  *session
	message  mqtt.Message // without a payload
	report   func(Sent)
	sent     chan packetFlight // writer to reader, in the order of the connection
	finished sync.WaitGroup    // flights not yet reported

	echoed atomic.Bool // something came back

	// Owned by the writer.
	out    []byte
	burst  int  // messages since the last ping
	spoken bool // since the last tick
}

// packetFlight is a message that was written.
type packetFlight struct {
	n, size int // n is 0 for a ping without a message
	began   time.Time
	ping    bool // a ping followed it
}

// dialPackets checks what can be and connects.
func (b *batch) dialPackets(ctx context.Context) (*packetLine, error) {
	seconds, limited, err := b.options.Message.kept()
	if err != nil {
		return nil, err
	}
	tok, err := b.client.password(ctx, opPublish)
	if err != nil {
		return nil, err
	}
	if err := checkPublish(b.topic, tok); err != nil {
		return nil, err
	}
	s, err := b.loginToPublish(ctx)
	if err != nil {
		return nil, err
	}
	if b.options.Message.Retain && !s.limits.stores {
		s.close()
		return nil, &Error{Op: opPublish, Category: CategoryAPI, Reason: "bad_request", Err: errNoStore}
	}
	return &packetLine{
		session: s, report: b.report, sent: make(chan packetFlight, b.options.Parallel),
		message: mqtt.Message{Topic: b.topic, Retain: b.options.Message.Retain, Expiry: seconds, Expires: limited},
	}, nil
}

func (b *batch) loginToPublish(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(b.client.timeout(), func() { cancel(errTimeout) })
	defer late.Stop()
	return b.client.login(ctx, cancel, opPublish, overdue{b.client.timeout(), errTimeout})
}

// run carries the jobs of work until it is closed, and returns once all are
// reported.
func (p *packetLine) run(work <-chan job) {
	var reader sync.WaitGroup
	reader.Go(p.readAll) // ends with the session and with sent, both below
	idle := time.NewTicker(p.session.limits.ping)
	defer idle.Stop()
	for p.step(work, idle.C) {
	}
	p.finished.Wait()
	close(p.sent)
	p.session.close()
	reader.Wait()
}

// step writes a message, or a ping when there is nothing to say; it reports
// whether there may be more.
func (p *packetLine) step(work <-chan job, idle <-chan time.Time) bool {
	select {
	case j, ok := <-work:
		if !ok {
			return false
		}
		p.publish(j, len(work) == 0)
	case <-idle:
		if !p.spoken {
			p.fly(packetFlight{ping: true}, nil)
		}
		p.spoken = false
	}
	return true
}

// publish writes a message, and a ping behind the last one of a burst.
func (p *packetLine) publish(j job, last bool) {
	began := time.Now()
	packet, err := p.packet(j.body)
	if err != nil {
		p.report(Sent{N: j.n, Size: len(j.body), Err: err})
		// The burst must not end without its ping.
		if last && p.burst > 0 {
			p.fly(packetFlight{ping: true}, nil)
		}
		return
	}
	// Half a window, so that there is always room for the next burst while this
	// one is on its way.
	last = last || p.burst+1 >= max(1, cap(p.sent)/2)
	p.fly(packetFlight{n: j.n, size: len(j.body), began: began, ping: last}, packet)
}

// fly writes a packet, if there is one, and a ping if the flight wants it. A
// failure to write is met by the reader too, which reports it.
func (p *packetLine) fly(f packetFlight, packet []byte) {
	p.spoken = true
	if p.burst == 0 {
		p.session.patience.expect() // the ping at the end of this burst
		p.session.wire.hold()
	}
	p.burst++
	var err error
	if packet != nil {
		err = p.session.write(mqtt.TypePublish, packet)
	}
	if f.ping {
		p.burst = 0
		err = errors.Join(err, p.session.write(mqtt.TypePingreq, mqtt.AppendPingreq(nil)), p.session.wire.release())
	}
	if err != nil {
		p.session.cancel(p.session.broken(err))
	}
	p.finished.Add(1)
	p.sent <- f // there is room, or a ping is on its way that makes some
}

// packet makes the PUBLISH, which is valid until the next.
func (p *packetLine) packet(body []byte) ([]byte, error) {
	if len(body) > pubsub.MaxPayload {
		return nil, tooLarge(len(body))
	}
	m := p.message
	m.Payload = body
	var err error
	if p.out, err = mqtt.AppendPublish(p.out[:0], m); err != nil {
		return nil, &Error{Op: opPublish, Category: CategoryInternal, Reason: "request", Err: err}
	}
	if most := p.session.limits.packet; len(p.out) > most {
		err := fmt.Errorf("the packet is %d bytes, topic included, and the service takes %d", len(p.out), most)
		return nil, &Error{Op: opPublish, Category: CategoryUsage, Reason: "too_large", Err: err}
	}
	return p.out, nil
}

// readAll reports flights as their pings are answered. Once the connection is
// of no more use, every flight still on it gets the same error.
func (p *packetLine) readAll() {
	err := p.follow()
	for f := range p.sent {
		p.landed(f, err)
	}
}

// follow reads until the session ends.
func (p *packetLine) follow() error {
	for {
		a, err := p.session.read()
		if err != nil {
			return err
		}
		switch a.Type() {
		case mqtt.TypePingresp:
			p.session.patience.met()
			if over := p.land(); over {
				return nil
			}
		case mqtt.TypePublish:
			p.echoed.Store(true) // this connection has subscribed to nothing
		case mqtt.TypeDisconnect:
			return p.session.disconnected(a)
		}
	}
}

// land reports the flights up to the ping that was answered; over says that
// there are no more.
func (p *packetLine) land() (over bool) {
	for {
		f, ok := <-p.sent
		if !ok {
			return true
		}
		var err error
		if p.echoed.Load() {
			err = &Error{Op: opPublish, Category: CategoryAPI, Reason: "publish_failed", Topic: p.message.Topic, Sent: true, Err: ErrEchoOnly}
		}
		p.landed(f, err)
		if f.ping {
			p.echoed.Store(false)
			return false
		}
	}
}

func (p *packetLine) landed(f packetFlight, err error) {
	defer p.finished.Done()
	if f.n > 0 {
		p.report(Sent{N: f.n, Size: f.size, Published: Published{Took: time.Since(f.began)}, Err: err})
	}
}
