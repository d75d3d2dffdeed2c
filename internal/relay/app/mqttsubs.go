package app

import (
	"context"
	"errors"
	"log/slog"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// subscription is one topic that a connection listens to.
type subscription struct {
	topic   pubsub.Topic
	version pubsub.Version // of the newest stored message the client was told of
	noLocal bool           // as the last SUBSCRIBE says
	retain  bool           // retain as published, as the last SUBSCRIBE says

	// What the engine does differs from what the client asked for: it is told at
	// the end of a frame, and only of topics that come or go.
	joined   bool // the engine listens
	filtered bool // it leaves out the client's own messages
	gone     bool // the client does not want it any more
}

// subscriptionSize is what a subscription takes besides its topic where
// production keeps it, roughly.
const subscriptionSize = 80

// find returns the place of a topic, -1 if it has none. A subscription that is
// gone keeps its place to the end of the frame.
func (m *session) find(t pubsub.Topic) int {
	for i := range m.subs {
		if m.subs[i].topic == t {
			return i
		}
	}
	return -1
}

// listen adds a subscription or replaces its options. The engine's filter stays
// as it is while the engine listens, which also an UNSUBSCRIBE in the same
// frame does not end (Quirks Q20 and Q49).
func (c *call) listen(t pubsub.Topic, v pubsub.Version, o mqtt.Options) {
	i := c.find(t)
	if i < 0 {
		i = len(c.subs)
		c.subs = append(c.subs, subscription{topic: t, gone: true})
	}
	s := &c.subs[i]
	if s.gone {
		s.gone, c.changed = false, true
		c.size += len(t) + subscriptionSize
	}
	s.version, s.noLocal, s.retain = v, o.NoLocal, o.RetainAsPublished
	if c.size > stateMax {
		c.dropped = errState
	}
}

// leave ends a subscription.
func (c *call) leave(i int) {
	c.subs[i].gone, c.changed = true, true
	c.size -= len(c.subs[i].topic) + subscriptionSize
}

// tellEngine tells the engine what changed with the frame.
func (c *call) tellEngine() {
	if !c.changed {
		return
	}
	c.changed = false
	c.tellUser()
	kept := c.subs[:0]
	for _, s := range c.subs {
		switch {
		case s.gone && s.joined:
			c.command(grip.ControlUnsubscribe, s.topic.Live(), nil)
			c.command(grip.ControlUnsubscribe, s.topic.Durable(), nil)
		case !s.gone && !s.joined:
			s.joined, s.filtered, c.settled = true, s.noLocal, true
			var filters []string
			if s.filtered {
				filters = []string{grip.FilterSkipSelf}
			}
			c.command(grip.ControlSubscribe, s.topic.Live(), filters)
			c.command(grip.ControlSubscribe, s.topic.Durable(), nil) // Quirk Q19: never filtered
		}
		if !s.gone {
			kept = append(kept, s)
		}
	}
	clear(c.subs[len(kept):])
	c.subs = kept
}

func (c *call) command(t grip.ControlType, channel string, filters []string) {
	c.control = append(c.control, grip.Control{Type: t, Channel: channel, Filters: filters})
}

// tellUser tells the engine whose messages a filter leaves out (Quirk Q20). As
// long as there is no filter, it need not know.
func (c *call) tellUser() {
	filtered := false
	for _, s := range c.subs {
		filtered = filtered || !s.gone && (s.filtered || !s.joined && s.noLocal)
	}
	if !filtered || c.user == c.client {
		return
	}
	c.user = c.client
	c.control = append(c.control, grip.Control{
		Type: grip.ControlSetMeta, Name: "user", Value: c.client, Delete: c.client == "",
	})
}

// newer reads what is stored for a topic; ok is false if a reader at version
// after has it, or there is nothing.
func (a *App) newer(ctx context.Context, t pubsub.Topic, after pubsub.Version) (slot store.Slot, ok bool, err error) {
	slot, err = a.messages.Get(ctx, t, after)
	switch {
	case err == nil:
		return slot, true, nil
	case errors.Is(err, store.ErrNotNewer), errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrMissing):
		return store.Slot{}, false, nil
	}
	return store.Slot{}, false, err
}

// sync sends what was stored for the connection's topics since it last looked
// (section 7.8), whether the sender is the client itself or not (Quirk Q19). If
// the store fails the frame at hand is the last one.
func (c *call) sync(ctx context.Context) {
	if !c.stale || c.over {
		return
	}
	c.stale = false
	for i := range c.subs {
		s := &c.subs[i]
		slot, ok, err := c.newer(ctx, s.topic, s.version)
		if err != nil {
			c.unreadable(ctx, s.topic, err)
			return
		}
		if !ok {
			continue
		}
		s.version = slot.Version
		if slot.Entry != nil {
			c.stored(ctx, s.topic, slot.Entry.Data, slot.Entry.Expires, s.retain)
		}
	}
}

func (c *call) unreadable(ctx context.Context, t pubsub.Topic, err error) {
	c.packets(mqtt.AppendDisconnect(c.out, mqtt.UnspecifiedError))
	c.closing = true
	c.warn(ctx, quirkUnreadable, "mqtt connection closed", slog.String("topic", clipped(t)),
		slog.String("cause", "the stored message could not be read"), slog.Any("err", err))
}
