package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

const (
	// maxFilters is how many topics one connection follows: each has a packet
	// identifier of its own.
	maxFilters = 1<<16 - 1
	// askAhead is how many SUBSCRIBE may await their answers. It spares a round
	// trip per topic, and stays within what sockets take without being read.
	askAhead = 32
	// maxEarly bounds, in bytes, the messages that arrive while topics are still
	// being subscribed; there are stored ones among them for each topic.
	maxEarly = 64 << 20
)

var (
	errEarly    = errors.New("more messages arrived while subscribing than can be held")
	errAlias    = errors.New("a topic alias, although none was offered")
	errQoS      = errors.New("a message above QoS 0, although only that was asked for")
	errNotAsked = errors.New("an answer to a SUBSCRIBE that was not sent")
)

// MQTT returns the transport that follows topics, at most 65535 of them, over
// MQTT 5 on a WebSocket. Each message names its topic. Stored messages come
// whether or not the request is durable, the newest one of each topic at the
// start of each connection; there are no ids to resume from.
//
// The wait for a lost service is shorter than over SSE: a PINGREQ goes out
// every 45 s, and without any byte within 20 s of one the service counts as dead.
func (c *Client) MQTT() Transport { return packetStreams{client: c} }

type packetStreams struct {
	client *Client
	// unstored leaves out what is stored already when a topic is subscribed.
	unstored bool
}

func (packetStreams) Name() string { return "mqtt" }

// Open returns when every topic is subscribed.
func (t packetStreams) Open(ctx context.Context, r Request) (Stream, error) {
	if err := checkFilters(r.Topics); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(t.client.timeout(), func() { cancel(errTimeout) })
	defer late.Stop()
	s, err := t.client.login(ctx, cancel, opSubscribe, overdue{min(pingGrace, r.Silence), ErrSilent})
	if err != nil {
		return nil, err
	}
	p := newPacketStream(s, r.Topics)
	if err := p.subscribe(r.Topics, t.options()); err != nil {
		s.close()
		return nil, err
	}
	p.keeper.Go(p.keepAlive) // ends with the session; Close waits
	return p, nil
}

// options keeps the retain flag on stored messages that arrive later, so that a
// record can tell them from live ones.
func (t packetStreams) options() mqtt.Options {
	o := mqtt.Options{RetainAsPublished: true}
	if t.unstored {
		o.RetainHandling = 2
	}
	return o
}

// checkFilters refuses what cannot be written into a SUBSCRIBE.
func checkFilters(topics []pubsub.Topic) error {
	if n := len(topics); n > maxFilters {
		err := fmt.Errorf("%d topics asked for, the most is %d", n, maxFilters)
		return &Error{Op: opSubscribe, Category: CategoryUsage, Reason: "too_many_topics", Err: err}
	}
	for _, t := range topics {
		if err := checkName(opSubscribe, t); err != nil {
			return err
		}
	}
	return nil
}

// checkName refuses a topic that a packet cannot carry.
func checkName(op string, t pubsub.Topic) error {
	switch {
	case t == "":
		return &Error{Op: op, Category: CategoryUsage, Reason: "no_topic", Err: errors.New("the topic is empty")}
	case len(t) > mqtt.MaxText || !utf8.ValidString(string(t)) || strings.ContainsRune(string(t), 0):
		err := fmt.Errorf("over MQTT a topic is UTF-8 without NUL of at most %d bytes", mqtt.MaxText)
		return &Error{Op: op, Category: CategoryUsage, Reason: "bad_argument", Topic: t, Err: err}
	}
	return nil
}

// packetStream is one open subscription over MQTT.
type packetStream struct {
	session *session                // static
	topics  map[string]pubsub.Topic // static: the subscribed ones by name
	keeper  sync.WaitGroup

	// Owned by the reader.
	asked map[uint16]pubsub.Topic // by packet identifier, until answered
	early []Message               // arrived before all topics were subscribed
	held  int                     // bytes in early
}

func newPacketStream(s *session, topics []pubsub.Topic) *packetStream {
	p := &packetStream{session: s, topics: make(map[string]pubsub.Topic, len(topics)), asked: map[uint16]pubsub.Topic{}}
	for _, t := range topics {
		p.topics[string(t)] = t
	}
	return p
}

// subscribe asks for each topic in a packet of its own, of which the app would
// read the first only, and waits for all answers.
func (p *packetStream) subscribe(topics []pubsub.Topic, o mqtt.Options) error {
	for next := 0; next < len(topics) || len(p.asked) > 0; {
		if next < len(topics) && len(p.asked) < askAhead {
			next++ // the packet identifier, which must not be 0
			if err := p.ask(uint16(next), topics[next-1], o); err != nil {
				return err
			}
			continue
		}
		a, err := p.session.read()
		if err != nil {
			return err
		}
		if err := p.opening(a); err != nil {
			return err
		}
	}
	return nil
}

func (p *packetStream) ask(id uint16, topic pubsub.Topic, o mqtt.Options) error {
	packet, err := mqtt.AppendSubscribe(nil, id, topic, o)
	if err != nil {
		return &Error{Op: opSubscribe, Category: CategoryInternal, Reason: "request", Err: err}
	}
	p.asked[id] = topic
	p.session.patience.expect()
	return p.session.write(mqtt.TypeSubscribe, packet)
}

// opening takes a packet that arrives while topics are being subscribed.
func (p *packetStream) opening(a mqtt.Answer) error {
	switch a.Type() {
	case mqtt.TypeSuback:
		return p.granted(a)
	case mqtt.TypePublish:
		return p.keepEarly(a)
	case mqtt.TypeDisconnect:
		return p.session.disconnected(a)
	}
	return nil
}

// granted judges the answer to a SUBSCRIBE.
func (p *packetStream) granted(a mqtt.Answer) error {
	ack, err := a.Ack()
	if err != nil {
		return p.session.broken(err)
	}
	topic, ok := p.asked[ack.PacketID]
	if !ok {
		return p.session.protocol(errNotAsked)
	}
	delete(p.asked, ack.PacketID)
	p.session.patience.met()
	code := mqtt.Reason(ack.Codes[0])
	if !code.Failure() {
		return nil
	}
	e := refusedByCode(opSubscribe, mqtt.TypeSuback, code, ack.Properties)
	e.Topic = topic
	if code == mqtt.NotAuthorized {
		return p.session.client.reason(p.session.ctx, topic, p.session.token, e)
	}
	return e
}

// keepEarly keeps a message until there is a reader for it.
func (p *packetStream) keepEarly(a mqtt.Answer) error {
	m, err := p.message(a)
	if err != nil {
		return err
	}
	if p.held += len(m.Data) + len(m.Topic); p.held > maxEarly {
		return p.session.protocol(errEarly)
	}
	m.Data = slices.Clone(m.Data)
	p.early = append(p.early, m)
	return nil
}

// Next skips what is not a message. A stray SUBACK or UNSUBACK is among that.
func (p *packetStream) Next() (Message, error) {
	if len(p.early) > 0 {
		m := p.early[0]
		p.early = p.early[1:]
		return m, nil
	}
	for {
		a, err := p.session.read()
		if err != nil {
			return Message{}, err
		}
		switch a.Type() {
		case mqtt.TypePublish:
			return p.message(a)
		case mqtt.TypePingresp:
			p.session.patience.met()
		case mqtt.TypeDisconnect:
			return Message{}, p.session.disconnected(a)
		}
	}
}

func (p *packetStream) message(a mqtt.Answer) (Message, error) {
	d, err := a.Publish()
	switch {
	case err != nil:
		return Message{}, p.session.broken(err)
	case d.QoS > 0:
		return Message{}, p.session.protocol(errQoS)
	case len(d.Topic) == 0:
		return Message{}, p.session.protocol(errAlias)
	}
	// MQTT names no events; that of a stream keeps records alike.
	return Message{Topic: p.topic(d.Topic), Name: "message", Data: d.Payload, Retained: d.Retain}, nil
}

// topic is the subscribed topic of this name, which needs no new memory, or
// another one, as brokers send for a filter with wildcards.
func (p *packetStream) topic(name []byte) pubsub.Topic {
	if t, ok := p.topics[string(name)]; ok {
		return t
	}
	return pubsub.Topic(name)
}

// keepAlive pings until the session ends. It goes on while the consumer of the
// messages is slow: a broker may count on it.
func (p *packetStream) keepAlive() {
	t := time.NewTicker(p.session.limits.ping)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if p.session.ping() != nil {
				return // the reader meets the same failure and says so
			}
		case <-p.session.ctx.Done():
			return
		}
	}
}

// Close says goodbye and ends the connection; a reader in Next returns.
func (p *packetStream) Close() error {
	p.session.close()
	p.keeper.Wait()
	return nil
}
