package fanout

import (
	"slices"
	"time"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// control follows control messages and returns a keep-alive if one was set.
func (s *socket) control(messages []grip.Control) (keep *hub.KeepAlive) {
	for _, c := range messages {
		switch c.Type {
		case grip.ControlSubscribe:
			s.subscribe(c)
		case grip.ControlUnsubscribe:
			s.subs = slices.DeleteFunc(s.subs, func(sub subscription) bool { return sub.Name == c.Channel })
		case grip.ControlSetMeta:
			s.setMeta(c)
		case grip.ControlKeepAlive:
			keep = s.keepAlive(c)
		}
	}
	return keep
}

// subscribe adds a channel or replaces its filters. More than maxChannels are
// ignored, as Fanout does.
func (s *socket) subscribe(c grip.Control) {
	next := subscription{Channel: grip.Channel{Name: c.Channel, Filters: c.Filters}}
	for i := range s.subs {
		if s.subs[i].Name == c.Channel {
			s.subs[i] = next
			return
		}
	}
	if len(s.subs) < s.engine.channelLimit() {
		s.subs = append(s.subs, next)
	}
}

func (s *socket) setMeta(c grip.Control) {
	if c.Delete {
		delete(s.meta, c.Name)
		return
	}
	if s.meta == nil {
		s.meta = map[string]string{}
	}
	s.meta[c.Name] = c.Value
}

func (s *socket) keepAlive(c grip.Control) *hub.KeepAlive {
	if c.Content == nil {
		return &hub.KeepAlive{Timeout: time.Hour} // writes nothing
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = grip.DefaultTimeout
	}
	return &hub.KeepAlive{Data: appendFrame(nil, opOf(c.MessageType), c.Content), Timeout: timeout, Interval: c.Interval}
}

func (s *socket) names() []string {
	out := make([]string, len(s.subs))
	for i := range s.subs {
		out[i] = s.subs[i].Name
	}
	return out
}

// plain reports whether everything on the socket's channels is for it, so that
// the hub may write without asking.
func (s *socket) plain() bool {
	return !slices.ContainsFunc(s.subs, func(sub subscription) bool { return len(sub.Filters) > 0 })
}

func (s *socket) sub(channel string) *subscription {
	for i := range s.subs {
		if s.subs[i].Name == channel {
			return &s.subs[i]
		}
	}
	return nil
}

// Deliver implements hub.Receiver: for a plain socket what is left to do after
// the hub has written, for one with filters everything.
func (s *socket) Deliver(m *hub.Member[*item], in []hub.Delivery[*item]) {
	direct := m.Direct()
	for _, d := range in {
		sub, w := s.sub(d.Channel), d.Value.WSMessage
		if sub == nil || w == nil || s.closing || direct && w.Action == grip.Send {
			continue
		}
		c := s.context(sub, d.Value)
		content, ok, err := c.Apply(sub.Filters, w.Content)
		if err != nil {
			s.engine.log.Warn("item dropped", "cause", err, "conn", s.conn)
			continue
		}
		if ok && grip.ContentFiltersMatch(w.ContentFilters, sub.Filters) {
			s.act(m, d.Value, content)
		}
	}
}

func (s *socket) context(sub *subscription, it *item) grip.FilterContext {
	return grip.FilterContext{
		SubMeta: s.meta, PubMeta: it.Meta, Channel: sub.Name, ID: it.ID,
		Subscribed: func(name string) bool { return s.sub(name) != nil },
	}
}

// act does what a published message asks for.
func (s *socket) act(m *hub.Member[*item], it *item, content []byte) {
	w := it.WSMessage
	switch w.Action {
	case grip.Send:
		p := it.frame
		if len(content) != len(w.Content) || len(content) > 0 && &content[0] != &w.Content[0] {
			p = appendFrame(nil, opOf(w.Type), content)
		}
		m.Deliver(p)
	case grip.Close:
		s.closing = true
		s.tell(grip.EventClose) // without content (grip.md, 5.6)
		s.sayClose(m, closeFrame(w.Code, w.Reason))
	case grip.Refresh:
		if s.busy {
			s.again = true
		} else {
			s.submit(m, nil)
		}
	}
}

// ended is called when the member has ended.
func (s *socket) ended() {
	s.closing = true
	s.tell(grip.EventDisconnect)
}

// tell lets the Handler know how the socket has ended, once and when it is no
// longer busy; its reply does not matter.
func (s *socket) tell(end grip.EventType) {
	if s.busy {
		if s.untold == grip.EventUnknown {
			s.untold = end
		}
		return
	}
	if s.told {
		return
	}
	s.told = true
	in := []grip.Event{{Type: end}}
	if s.handler.QuickEvents(&s.info, in) {
		_, _ = askEvents(s.engine.onShard, s.handler, &s.info, in)
		return
	}
	s.engine.workers.Go(func() { // waited for by the engine; ends when the Handler has answered
		s.engine.busy <- struct{}{}
		_, _ = askEvents(s.engine.ctx, s.handler, &s.info, in)
		<-s.engine.busy
	})
}

// farewell is the close frame for an end that neither side has asked for.
func (s *socket) farewell(cause int) []byte {
	switch {
	case s.closing:
		return nil // one has been sent
	case cause == causeSlow:
		return closeFrame(statusTryAgain, "slow reader")
	case cause == causeDrain:
		return closeFrame(int(ws.StatusGoingAway), "shutting down")
	}
	return nil
}

// statusTryAgain tells a client to come back (RFC 6455 registry, 1013).
const statusTryAgain = 1013
