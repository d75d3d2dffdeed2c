package fanout

import (
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// effect is what a reply comes to.
type effect struct {
	out     []byte         // frames for the client
	keep    *hub.KeepAlive // if one was set
	control bool           // there were control messages
	detach  bool
	end     grip.EventType // with which the reply ends the socket, or EventUnknown
}

// follow takes in a reply, part by part.
func (s *socket) follow(r *Reply) (a effect) {
	for ; r != nil && a.end == grip.EventUnknown; r = r.Then {
		for _, c := range r.Control {
			s.control(&a, c)
		}
		a.out, a.end = appendReply(a.out, r.Events)
	}
	return a
}

// control follows a control message.
func (s *socket) control(a *effect, c grip.Control) {
	a.control = true
	switch c.Type {
	case grip.ControlSubscribe:
		s.subscribe(c)
	case grip.ControlUnsubscribe:
		name := s.info.Prefix + c.Channel
		s.subs = slices.DeleteFunc(s.subs, func(sub subscription) bool { return sub.Name == name })
	case grip.ControlSetMeta:
		s.setMeta(c)
	case grip.ControlKeepAlive:
		a.keep = s.keepAlive(c)
	case grip.ControlSendDelayed:
		a.out = s.delay(a.out, c)
	case grip.ControlFlushDelayed:
		if s.later != nil {
			a.out = s.later.flush(a.out)
		}
	case grip.ControlDetach:
		a.detach = true
	}
}

// subscribe adds a channel or replaces its filters. More than the socket may
// have are ignored, as Fanout does.
func (s *socket) subscribe(c grip.Control) {
	next := subscription{Channel: grip.Channel{Name: s.info.Prefix + c.Channel, Filters: c.Filters}}
	for i := range s.subs {
		if s.subs[i].Name == next.Name {
			s.subs[i] = next
			return
		}
	}
	most := s.info.MaxChannels
	if most == 0 {
		most = s.engine.opt.MaxChannels
	}
	if len(s.subs) < most {
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

// plain reports whether everything on the socket's channels is for it, so that
// the hub may write without asking.
func (s *socket) plain() bool {
	return !s.settling() && !slices.ContainsFunc(s.subs, func(sub subscription) bool { return len(sub.Filters) > 0 })
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
		SubMeta: s.meta, PubMeta: it.Meta, Channel: strings.TrimPrefix(sub.Name, s.info.Prefix), ID: it.ID,
		Subscribed: func(name string) bool { return s.sub(s.info.Prefix+name) != nil },
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
		s.deliver(m, p)
	case grip.Close:
		s.closing = true
		s.tell(grip.EventClose) // without content (grip.md, 5.6)
		s.sayClose(m, closeFrame(w.Code, w.Reason))
	case grip.Refresh:
		if s.detached() {
			return
		}
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
	s.joined.end()
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
	s.engine.work.start(func() {
		s.calls <- struct{}{}
		_, _ = askEvents(s.engine.ctx, s.handler, &s.info, in)
		<-s.calls
	})
}

// farewell is the close frame for an end that neither side has asked for.
func (s *socket) farewell(cause int) []byte {
	switch {
	case s.closing:
		return nil // one has been sent
	case cause == causeSlow:
		return append(s.unsent(), closeFrame(statusTryAgain, "slow reader")...)
	case cause == causeDrain:
		return append(s.unsent(), closeFrame(int(ws.StatusGoingAway), "shutting down")...)
	}
	return nil
}

// statusTryAgain tells a client to come back (RFC 6455 registry, 1013).
const statusTryAgain = 1013
