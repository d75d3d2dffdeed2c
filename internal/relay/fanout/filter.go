package fanout

import "github.com/pubsubctl/pubsubctl/internal/grip"

// filter runs the subscription's filters over an item. It reports false if the
// item is not to be delivered; an item that could not be made is named in the
// log, for it is the publisher's or the origin's mistake.
func (s *stream) filter(sub *subscription, it *item) (content []byte, ok bool) {
	c := s.context(sub, it)
	content, ok, err := c.Apply(sub.Filters, it.HTTPStream.Content)
	if err != nil {
		s.engine.log.Warn("item dropped", "cause", err, "conn", s.conn)
		return nil, false
	}
	return content, ok
}

// passes reports whether the delivery filters let an item without content through.
func (s *stream) passes(sub *subscription, it *item) bool {
	c := s.context(sub, it)
	return c.Deliver(sub.Filters)
}

func (s *stream) context(sub *subscription, it *item) grip.FilterContext {
	return grip.FilterContext{
		SubMeta: s.meta, PubMeta: it.Meta, Channel: sub.Name, ID: it.ID,
		PrevID:     s.prevID,
		Subscribed: func(name string) bool { return s.channel(name) != nil },
	}
}

func (s *stream) prevID(channel string) (string, bool) {
	sub := s.channel(channel)
	if sub == nil || sub.PrevID == "" {
		return "", false
	}
	return sub.PrevID, true
}
