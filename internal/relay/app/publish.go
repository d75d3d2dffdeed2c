package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/sse"
)

// post is one POST /events, read and allowed.
type post struct {
	topic   pubsub.Topic
	retain  bool
	ttl     uint32 // seconds
	expires bool   // whether there is a ttl
}

// publish answers POST /events. Its checks come in the order of section 5.
func (a *App) publish(ctx context.Context, r *fanout.Request) (*fanout.Response, error) {
	p, no := readPost(pubsub.NormalizeQuery(r.RawQuery))
	if no == nil {
		a.warnRaw(ctx, r, p.topic)
		no = a.mayPublish(ctx, r, p.topic)
	}
	if no != nil {
		return a.refusePost(ctx, r, p.topic, no), nil
	}
	buf := a.bodies.Get().(*[]byte)
	defer a.bodies.Put(buf)
	data, err := readBody(r, *buf)
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if no := a.deliver(ctx, r, p, data); no != nil {
		return a.refusePost(ctx, r, p.topic, no), nil
	}
	return a.text(http.StatusOK, "Published\n"), nil
}

// readPost reads the parameters, none of which is percent-decoded (Quirks Q6
// and Q7). A bad ttl is refused even if nothing is to be retained.
func readPost(query string) (post, *refusal) {
	topic, ok := pubsub.RawParam(query, "topic")
	if !ok {
		return post{}, badRequest("Missing 'topic' param", "no topic parameter")
	}
	p := post{topic: pubsub.Topic(topic)}
	if text, ok := pubsub.RawParam(query, "ttl"); ok {
		ttl, reason := parseTTL(text)
		if reason != "" {
			return p, badRequest("Invalid 'ttl' param: "+reason, "ttl: "+reason)
		}
		p.ttl, p.expires = ttl, true
	}
	retain, _ := pubsub.RawParam(query, "retain")
	p.retain = retain == "true"
	return p, nil
}

// parseTTL reads an unsigned 32-bit decimal, one plus sign allowed, and says in
// the app's words why it cannot. Digits are judged one by one, as the app's
// parser does: "42949672960x" is too large before it is not a number.
func parseTTL(s string) (ttl uint32, reason string) {
	const notDigit = "invalid digit found in string"
	if s == "" {
		return 0, "cannot parse integer from empty string"
	}
	if s[0] == '+' {
		if s = s[1:]; s == "" {
			return 0, notDigit
		}
	}
	var n uint64
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, notDigit
		}
		if n = n*10 + uint64(d); n > math.MaxUint32 {
			return 0, "number too large to fit in target type"
		}
	}
	return uint32(n), ""
}

// mayPublish checks the credential. The auth parameter means nothing here.
func (a *App) mayPublish(ctx context.Context, r *fanout.Request, t pubsub.Topic) *refusal {
	if a.admin(r.Header) {
		return nil
	}
	tok, no := bearer(r.Header, "Missing 'Authorization' header")
	if no != nil {
		return no
	}
	g, no := a.verify(ctx, r, tok, time.Now())
	if no != nil {
		return no
	}
	if !g.CanWrite(t) {
		return forbidden("Cannot publish to topic: "+string(t), "the topic is not in x-fastly-write")
	}
	return nil
}

// readBody reads the body into buf, or up to one byte past the limit of a
// payload. A body that ends before its announced length is an error, so that
// no part of a message is published.
func readBody(r *fanout.Request, buf []byte) ([]byte, error) {
	want := len(buf)
	if r.ContentLength >= 0 {
		want = int(min(r.ContentLength, int64(want)))
	}
	n := 0
	for n < want {
		m, err := r.Body.Read(buf[n:want])
		n += m
		if err == io.EOF && (r.ContentLength < 0 || n == want) {
			break
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
	}
	return buf[:n], nil
}

// deliver stores and publishes a message whose publisher may do so.
func (a *App) deliver(ctx context.Context, r *fanout.Request, p post, data []byte) *refusal {
	if len(data) > pubsub.MaxPayload {
		return badRequest("Message size exceeds 32512 bytes maximum", "the message is longer than 32512 bytes")
	}
	n := &notice{topic: p.topic}
	if p.retain {
		v, err := a.keep(ctx, p, data)
		if err != nil {
			return failed("Failed to write message to storage", "the message could not be stored", err)
		}
		n.stored(v)
	} else {
		n.live(p.topic.Live(), data)
	}
	got, err := a.send(ctx, n)
	if err != nil {
		return failed("Publish process failed", "the publish call failed", err)
	}
	who := peerOf(r)
	a.logPublished(ctx, who, "published", n, data, got)
	if n.kept {
		a.warnStored(ctx, who, n, got)
	}
	a.warnReturn(ctx, who, n, data)
	return nil
}

// keep stores the message.
func (a *App) keep(ctx context.Context, p post, data []byte) (pubsub.Version, error) {
	e := store.Entry{Data: data}
	if p.expires {
		// Quirk Q21: a ttl of zero stores a message nobody receives, the only way
		// to clear the one before it; an empty message clears nothing.
		e.Expires = time.Now().Add(time.Duration(p.ttl) * time.Second)
	}
	return a.messages.Put(ctx, p.topic, e)
}

// notice is the item of one publish and what the log tells of it. The parts
// live in one piece of memory, because a publish makes one of each.
type notice struct {
	topic   pubsub.Topic
	version pubsub.Version // of the stored message; zero for a live one
	kept    bool
	item    grip.Item
	stream  grip.HTTPStream
	socket  grip.WSMessage
	items   [1]*grip.Item
}

// room is what the two forms of a message need besides a topic of usual size
// and twice a payload of one line.
const room = len("event: "+sse.Message+"\ndata: \n\n") + 64

// live makes the item that carries the content itself, in the form of each
// protocol. A topic too long for an MQTT packet has no subscriber there.
func (n *notice) live(channel string, data []byte) {
	both := sse.AppendMessage(make([]byte, 0, 2*len(data)+len(n.topic)+room), data, nil)
	end := len(both)
	n.item = grip.Item{Channel: channel, HTTPStream: &n.stream}
	both, err := mqtt.AppendPublish(both, mqtt.Message{Topic: n.topic, Payload: data})
	n.stream.Content = both[:end:end]
	if err == nil {
		n.socket = grip.WSMessage{Type: grip.Binary, Content: both[end:]}
		n.item.WSMessage = &n.socket
	}
}

// stored makes the item that tells readers to look into the store. Plain
// streams do not listen to it (Quirk Q1).
func (n *notice) stored(v pubsub.Version) {
	n.version, n.kept = v, true
	n.stream.Action, n.socket.Action = grip.Hint, grip.Refresh
	n.item = grip.Item{Channel: n.topic.Durable(), HTTPStream: &n.stream, WSMessage: &n.socket}
}

var errNoToken = errors.New("the service has no publish token")

func (a *App) send(ctx context.Context, n *notice) (receivers int, err error) {
	if !a.publishToken {
		return 0, errNoToken
	}
	n.items[0] = &n.item
	return a.publisher.Publish(ctx, n.items[:]...)
}

// refusePost renders a refusal as the sender of a POST sees it.
func (a *App) refusePost(ctx context.Context, r *fanout.Request, t pubsub.Topic, no *refusal) *fanout.Response {
	a.logRefused(ctx, r, []pubsub.Topic{t}, strconv.Itoa(no.status), no)
	if no.status == 0 {
		return platformError()
	}
	return a.text(no.status, no.text+"\n")
}
