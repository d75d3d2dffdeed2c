package fanout

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// Causes of a stream's end that come from its origin.
var (
	errOrigin   = errors.New("origin did not continue the stream")
	errFinished = errors.New("origin ended the stream")
)

const (
	// linkTimeout is how long a stream waits for activity when its next link
	// names no timeout (grip.md, 2.1).
	linkTimeout = 120 * time.Second
	// maxRetries of a failed follow-up, after 1, 2, 4, 8, 16 s (grip.md, 2.8).
	maxRetries = 5
	// firstUpdate is how long after a channel's first listener its streams are
	// read again (Quirk Q53).
	firstUpdate = time.Second
)

// phase is what a stream with a next link is doing.
type phase uint8

const (
	holding  phase = iota // items are delivered as they come
	due                   // a follow-up is to be made; items wait
	fetching              // a follow-up is under way; items and hints wait
)

// stream is the Receiver of a held stream with ids, filters or a next link.
// Everything but the static fields is owned by its shard.
type stream struct {
	// Static after construction.
	*session
	*server
	base   base
	prefix string
	chain  bool // the first page is not the last, so the next is asked for at once

	hints    uint64 // the engine's count when the origin was last asked
	channels []subscription
	meta     map[string]string
	next     grip.Link
	phase    phase
	fetchAt  time.Time // when the follow-up is due
	linkAt   time.Time // when the next link is fetched for want of activity
	fresh    bool      // linkAt is that of the first update, whatever has come
	retries  int
	queue    []waiting
	queued   int // bytes in queue
}

// subscription is a channel of a stream.
type subscription struct {
	grip.Channel
	active bool   // something came since the link timer was last set
	passed string // id of the last item that replay took for part of the page
}

// waiting is an item that came while the stream was due or fetching.
type waiting struct {
	channel string
	item    *item
}

func newStream(at *server, own *session, q *asked, resp *Response) *stream {
	s := &stream{session: own, server: at, base: q.base(), prefix: resp.Prefix, hints: q.hints}
	s.follow(resp.Instruct)
	s.chain = resp.Instruct.Hold == grip.None
	return s
}

// follow takes over what an instruction says of a stream that goes on.
func (s *stream) follow(in *grip.Instruct) {
	s.channels = s.subscriptions(in, s.prefix)
	s.meta, s.next = in.Meta, in.Next
}

// subscriptions are the channels of an instruction, by the names that the hub has
// for them.
func (s *server) subscriptions(in *grip.Instruct, prefix string) []subscription {
	channels := in.Channels[:min(len(in.Channels), s.engine.opt.MaxChannels)]
	out := make([]subscription, len(channels))
	for i, c := range channels {
		c.Name = prefix + c.Name
		out[i] = subscription{Channel: c}
	}
	return out
}

func (s *stream) channel(name string) *subscription {
	return findSubscription(s.channels, name)
}

// Admit implements hub.Receiver. A hint that was published while the origin was
// being asked may tell of something its answer does not have, so ask again.
func (s *stream) Admit(m *hub.Member[*item]) {
	now := m.Now()
	switch {
	case s.chain:
		s.ask(m)
		return
	case s.next.URI == "":
		if s.anyPrevID() {
			m.End(errOrigin) // nothing could recover a gap (grip.md, 2.5 item 7)
		}
		return
	}
	s.linkAt = now.Add(s.linkTimeout())
	switch {
	case s.missed():
		s.want(m, now)
	case m.First() && !s.engine.opt.NoFirstUpdate:
		s.linkAt, s.fresh = now.Add(firstUpdate), true
	}
	m.Wake(s.wakeAt())
}

// missed reports whether something may have been published on a new channel of
// the stream after the origin was asked and before the stream listened.
func (s *stream) missed() bool {
	return s.engine.hints.Load() != s.hints || s.engine.seq.stale(s.channels)
}

// hasMore reports whether the stream listens to a channel that is not in before.
func (s *stream) hasMore(before []subscription) bool {
	return slices.ContainsFunc(s.channels, func(c subscription) bool {
		return !slices.ContainsFunc(before, func(b subscription) bool { return b.Name == c.Name })
	})
}

func (s *stream) anyPrevID() bool {
	for _, c := range s.channels {
		if c.PrevID != "" {
			return true
		}
	}
	return false
}

func (s *stream) linkTimeout() time.Duration {
	if s.next.Timeout <= 0 {
		return linkTimeout
	}
	return max(s.next.Timeout, time.Second)
}

// wakeAt is when the stream has something to do by itself.
func (s *stream) wakeAt() time.Time {
	switch s.phase {
	case due:
		return s.fetchAt
	case holding:
		return s.linkAt
	}
	return time.Time{}
}

// Tick implements hub.Receiver.
func (s *stream) Tick(m *hub.Member[*item], now time.Time) time.Time {
	switch {
	case s.phase == due && !now.Before(s.fetchAt):
		s.ask(m)
	case s.phase == holding && !s.linkAt.IsZero() && !now.Before(s.linkAt):
		if s.busy() && !s.fresh {
			s.linkAt = now.Add(s.linkTimeout())
		} else {
			s.ask(m)
		}
	}
	return s.wakeAt()
}

// busy reports whether something came on every channel since the last time, and
// starts afresh: then the stream is alive and need not be asked for.
func (s *stream) busy() bool {
	all := len(s.channels) > 0
	for i := range s.channels {
		all = all && s.channels[i].active
		s.channels[i].active = false
	}
	return all
}

// want makes the stream ask in the next 100 ms step, together with others. One
// that has nothing to ask cannot make up for what it has missed, and ends.
func (s *stream) want(m *hub.Member[*item], at time.Time) {
	switch {
	case s.next.URI == "":
		m.End(errOrigin)
	case s.phase == holding:
		s.phase, s.fetchAt = due, at
		m.Wake(at)
	}
}

// Deliver implements hub.Receiver.
func (s *stream) Deliver(m *hub.Member[*item], in []hub.Delivery[*item]) {
	for _, d := range in {
		if s.phase == holding {
			s.deliver(m, d.Channel, d.Value)
		} else {
			s.wait(m, d.Channel, d.Value)
		}
	}
}

// verdict is what a stream does with an item.
type verdict uint8

const (
	skip verdict = iota
	give
	miss // the stream cannot tell what it has missed, and must ask
	jump // ask at once
	stop
)

// judge compares an item with what the stream has seen (grip.md, 2.5 and 2.11).
func (s *stream) judge(sub *subscription, it *item) verdict {
	if sub == nil || it.HTTPStream == nil {
		return skip
	}
	if sub.PrevID != "" && sub.PrevID != it.PrevID {
		return miss
	}
	switch it.HTTPStream.Action {
	case grip.Send:
		return give
	case grip.Close, grip.Hint:
		if len(sub.Filters) > 0 && !s.passes(sub, it) {
			return skip
		}
		if it.HTTPStream.Action == grip.Close {
			return stop
		}
		return jump
	}
	return skip
}

func (s *stream) deliver(m *hub.Member[*item], channel string, it *item) {
	sub := s.channel(channel)
	switch s.judge(sub, it) {
	case give:
		s.give(m, sub, it)
	case miss:
		s.engine.seq.forget(channel)
		s.want(m, m.Now())
	case jump:
		if s.next.URI != "" {
			s.ask(m)
		}
	case stop:
		m.End(errClosed)
	}
}

// give writes the item through the channel's filters.
func (s *stream) give(m *hub.Member[*item], sub *subscription, it *item) {
	sub.active = true
	if !grip.ContentFiltersMatch(it.HTTPStream.ContentFilters, sub.Filters) {
		// The id does not count as seen, so the next item makes the stream ask.
		s.engine.log.Warn("item dropped", "cause", "its content filters are not the subscription's", "conn", s.conn)
		return
	}
	if sub.PrevID != "" {
		sub.PrevID, sub.passed = it.ID, ""
	}
	if len(sub.Filters) == 0 {
		p, _ := encode(it, s.format)
		m.Deliver(p)
		return
	}
	content, ok := s.filter(sub, it)
	if ok {
		m.Deliver(frame(content, s.format))
	}
}

// wait keeps what comes while the stream is not holding. A mismatch is covered
// by a follow-up that has not begun; one that has may have read too early.
func (s *stream) wait(m *hub.Member[*item], channel string, it *item) {
	if s.phase == due && s.judge(s.channel(channel), it) == miss {
		return
	}
	s.queue = append(s.queue, waiting{channel, it})
	if s.queued += size(it); s.queued > s.engine.backlog() {
		m.End(hub.ErrSlow)
	}
}

// ask sends the follow-up; its page comes back through page.
func (s *stream) ask(m *hub.Member[*item]) {
	s.phase, s.fresh, s.hints = fetching, false, s.engine.hints.Load()
	m.Wake(time.Time{})
	s.fetch.get(s.base, s.next.URI, lasts(s.channels, s.prefix), func(p *page) {
		m.Do(func() { s.page(m, p) })
	})
}

// lasts tells the origin how far a connection has come on each channel with a
// prev-id.
func lasts(channels []subscription, prefix string) []grip.Last {
	out := make([]grip.Last, 0, len(channels))
	for _, c := range channels {
		if c.PrevID != "" {
			out = append(out, grip.Last{Channel: strings.TrimPrefix(c.Name, prefix), ID: c.PrevID})
		}
	}
	return out
}

// page continues the stream with what a follow-up brought.
func (s *stream) page(m *hub.Member[*item], p *page) {
	if p.failed() {
		s.retry(m)
		return
	}
	s.retries = 0
	in := p.instruct
	if in != nil && in.Hold == grip.Stream {
		before := s.channels
		s.follow(in)
		m.SetChannels(names(s.channels))
		m.Write(p.bytes(s.format))
		s.resume(m, in)
		if s.next.URI != "" && s.hasMore(before) && s.missed() {
			s.want(m, m.Now())
		}
		return
	}
	m.Write(p.bytes(s.format))
	switch {
	case in != nil && in.Hold == grip.None && in.Next.URI != "":
		s.follow(in)
		m.SetChannels(names(s.channels))
		m.SetKeepAlive(s.engine.keepAlive(in.KeepAlive, s.format))
		s.ask(m)
	default:
		m.End(errFinished)
	}
}

// retry asks again later, or gives the stream up.
func (s *stream) retry(m *hub.Member[*item]) {
	if s.retries == maxRetries {
		m.End(errOrigin)
		return
	}
	pause := time.Second<<s.retries + rand.N(time.Second)
	s.retries++
	s.phase, s.fetchAt = due, m.Now().Add(pause)
	m.Wake(s.fetchAt)
}

// resume holds the stream again and delivers what came meanwhile.
func (s *stream) resume(m *hub.Member[*item], in *grip.Instruct) {
	m.SetKeepAlive(s.engine.keepAlive(in.KeepAlive, s.format))
	s.phase, s.linkAt = holding, time.Time{}
	switch {
	case s.next.URI != "":
		s.linkAt = m.Now().Add(s.linkTimeout())
	case s.anyPrevID():
		m.End(errOrigin) // nothing could recover a gap (grip.md, 2.5 item 7)
		return
	}
	s.replay(m)
	m.Wake(s.wakeAt())
}

// replay delivers what came while the stream was away. Items with ids that do
// not match come first and are taken for part of the page, which must then end
// with the last of them. A hint is never passed over: the page may have been
// read before it.
func (s *stream) replay(m *hub.Member[*item]) {
	queue := s.queue
	s.queue, s.queued = nil, 0
	for i, w := range queue {
		sub := s.channel(w.channel)
		if w.item.ID != "" && s.judge(sub, w.item) == miss && (sub.passed == "" || sub.passed != sub.PrevID) {
			sub.passed = w.item.ID
			continue
		}
		s.deliver(m, w.channel, w.item)
		if s.phase != holding {
			for _, later := range queue[i+1:] {
				s.wait(m, later.channel, later.item)
			}
			return
		}
	}
	for i := range s.channels {
		sub := &s.channels[i]
		if sub.passed != "" && sub.passed != sub.PrevID {
			s.want(m, m.Now())
		}
		sub.passed = ""
	}
}

// status2xx reports whether a status lets a stream continue.
func status2xx(status int) bool {
	return status >= http.StatusOK && status < http.StatusMultipleChoices
}
