package app

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// call is one call of Events: the session and the answer as it grows.
type call struct {
	*App
	*session
	who peer
	now time.Time

	stale   bool  // something may have been stored since the last look
	changed bool  // subscriptions or client id are not what the engine has
	settled bool  // the engine was told to listen to more
	stop    bool  // the rest of the frame is not read
	closing bool  // the connection ends behind the frame
	dropped error // the connection is dropped

	held  []byte // bytes of an unfinished packet
	pings int    // content bytes of pings behind the first of them

	out     []byte // packets that events share
	events  []grip.Event
	control []grip.Control
}

// handle takes the events in order and returns how many content bytes at the
// end of the batch are to be offered again.
func (c *call) handle(ctx context.Context, in []grip.Event) (rest int) {
	if c.waits(in) {
		c.sync(ctx)
		c.end()
		return c.bound(ctx, contents(in), len(in))
	}
	if len(in) == 0 {
		c.sync(ctx)
		c.end()
	}
	for _, e := range in {
		if c.over || c.dropped != nil {
			break
		}
		c.event(ctx, e)
	}
	c.need = 0
	if len(c.held) == 0 {
		return 0
	}
	c.need, _ = mqtt.PacketSize(c.held)
	return c.bound(ctx, len(c.held)+c.pings, len(in))
}

// waits reports whether the batch only adds to a packet that stays unfinished.
// Then it need not be put together, which would take ever longer for a client
// that sends byte by byte.
func (c *call) waits(in []grip.Event) bool {
	if c.over || c.need <= contents(in) {
		return false
	}
	for _, e := range in {
		if e.Type != grip.EventText && e.Type != grip.EventBinary {
			return false
		}
	}
	return true
}

func contents(in []grip.Event) (n int) {
	for _, e := range in {
		n += len(e.Content)
	}
	return n
}

// bound ends the connection of a client that leaves too much unfinished.
func (c *call) bound(ctx context.Context, rest, pieces int) int {
	switch {
	case c.over:
		return 0
	case rest < heldMax && pieces <= piecesMax:
		return rest
	}
	c.warn(ctx, quirkHeld, "mqtt connection closed", slog.Int("bytes", rest),
		slog.String("cause", "too much came of a packet that is not finished"))
	c.say(closeTooBig)
	return 0
}

// event handles one event. Every frame, whatever its kind, makes the app look
// into the store first.
func (c *call) event(ctx context.Context, e grip.Event) {
	if e.Type == grip.EventDisconnect {
		c.over = true // nobody reads what is said from here on
		return
	}
	c.sync(ctx)
	switch e.Type {
	case grip.EventText, grip.EventBinary: // Quirk Q33: alike
		c.take(ctx, e.Content)
	case grip.EventPing: // Quirk Q28: no pong
		c.warn(ctx, quirkPing, "websocket ping stays without an answer", slog.String("cause", "MQTT clients send PINGREQ"))
		fallthrough
	case grip.EventPong:
		if len(c.held) > 0 {
			c.pings += len(e.Content)
		}
	case grip.EventClose:
		c.emit(grip.EventClose, slices.Clone(e.Content))
		c.over = true
	}
	c.end()
}

// take handles the frame's packets, behind what earlier frames left unfinished.
func (c *call) take(ctx context.Context, content []byte) {
	data := content
	if len(c.held) > 0 {
		if len(content) > splitWarn {
			c.warn(ctx, quirkSplit, "mqtt packet misleads", slog.Int("bytes", len(content)),
				slog.String("cause", "a packet split over frames, the second of more than 8 kB, may drop the connection"))
		}
		c.held = append(c.held, content...)
		data = c.held
	}
	n := c.frame(ctx, data)
	if n > 0 {
		c.pings = 0
	}
	c.held = append(c.held[:0], data[n:]...)
}

// splitWarn is the size of a frame which production does not survive while an
// unfinished packet waits (Quirk Q51).
const splitWarn = 8180

// frame handles the packets that are complete and returns how many bytes they
// take. A packet that cannot be read is the last one.
func (c *call) frame(ctx context.Context, data []byte) (n int) {
	for n < len(data) && !c.stop && c.dropped == nil {
		r, size, err := mqtt.NextRequest(data[n:])
		if err == nil && size == 0 {
			break
		}
		if err == nil {
			c.judgeSize(ctx, r, size)
			err = c.packet(ctx, r)
		}
		if err != nil {
			c.malformed(ctx, err)
		}
		n += size
	}
	c.tellEngine()
	return n
}

// malformed ends the connection with a close frame and no DISCONNECT (Quirk
// Q27). What came before in the frame has been answered.
func (c *call) malformed(ctx context.Context, err error) {
	c.stop, c.closing = true, true
	c.warn(ctx, quirkMalformed, "mqtt connection closed", slog.Any("cause", err))
}

// end closes the connection if something in the frame asked for it.
func (c *call) end() {
	if c.closing && !c.over {
		c.say(closeNormal)
	}
}

// say closes the connection.
func (c *call) say(code int) {
	c.emit(grip.EventClose, grip.AppendClose(nil, code, ""))
	c.over = true
}

func (c *call) emit(t grip.EventType, content []byte) {
	c.events = append(c.events, grip.Event{Type: t, Content: content})
}

// packets emits what was appended to out as one packet.
func (c *call) packets(out []byte) {
	start := len(c.out)
	c.out = out
	// A later append that has to move out leaves this part where it is.
	c.emit(grip.EventBinary, out[start:len(out):len(out)])
}

// stored emits a stored message.
func (c *call) stored(ctx context.Context, t pubsub.Topic, data []byte, expires time.Time, retain bool) {
	m := mqtt.Message{Topic: t, Payload: data, Retain: retain, Expires: !expires.IsZero()}
	if m.Expires {
		m.Expiry = uint32(max(0, expires.Sub(c.now)/time.Second))
	}
	p, err := mqtt.AppendPublish(nil, m) // its own memory: it may be long
	if err != nil {
		c.warn(ctx, quirkLong, "stored message left out", slog.String("topic", clipped(t)), slog.Any("cause", err))
		return
	}
	c.emit(grip.EventBinary, p)
}

// reply is the answer. Most calls have none, and share one reply.
func (c *call) reply(rest int) *fanout.Reply {
	if len(c.events) == 0 && len(c.control) == 0 && rest == 0 {
		return c.accepted
	}
	r := &fanout.Reply{Events: c.events, Control: c.control, Rest: rest, Interval: pollEvery}
	if c.settled {
		r.Interval = settleAfter
	}
	return r
}
