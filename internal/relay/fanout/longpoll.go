package fanout

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// outcome is what ends a long-poll.
type outcome struct {
	release *grip.HTTPResponse // an item's answer
	content []byte             // its body, through the filters
	again   bool               // the origin is to be asked once more
	err     error              // the member has ended otherwise
}

// errTimedOut ends a long-poll for which nothing was published.
var errTimedOut = errors.New("nothing was published in time")

// poll is the Receiver of a held long-poll. Its request waits on a goroutine of
// net/http, which writes the one answer there will be. Everything but the static
// fields is owned by the shard.
type poll struct {
	// Static after construction.
	*session
	*server
	prefix  string
	timeout time.Duration
	update  bool         // to be asked again if the channel had no listener
	verdict chan outcome // capacity 1

	out      *outcome // the first decision; nil until then
	channels []subscription
	meta     map[string]string
	until    time.Time
	againAt  time.Time
}

// holdPoll waits with a request until an item, the timeout or its client ends it
// (grip.md, 2.4), and asks the origin again as often as the engine has to.
func (s *server) holdPoll(w http.ResponseWriter, r *http.Request, q *asked, resp *Response) {
	for {
		p := s.newPoll(q, resp)
		out := p.wait(r)
		s.engine.lingers.add(names(p.channels))
		switch {
		case r.Context().Err() != nil:
			return
		case out.release != nil:
			s.engine.writePlain(w, r, p.merge(resp, out))
			return
		case !out.again:
			s.engine.writePlain(w, r, resp)
			return
		}
		s.tellGone(r.Context(), q.base(), resp.Instruct.Gone)
		var ok bool
		if resp, ok = s.askAgain(w, r, q, p); !ok {
			return
		}
	}
}

// errLongPoll refuses a page that is too long to be kept for later.
var errLongPoll = errors.New("response to be held is too large")

// askAgain sends the client's request to the origin once more. It reports false
// when the new answer is no long-poll, which is then dealt with.
func (s *server) askAgain(w http.ResponseWriter, r *http.Request, q *asked, p *poll) (*Response, bool) {
	again := *q
	again.Last, again.hints = lasts(p.channels, p.prefix), s.engine.hints.Load()
	again.Body = q.kept.again()
	return s.answer(w, r, &again)
}

func (s *server) newPoll(q *asked, resp *Response) *poll {
	in := resp.Instruct
	p := &poll{
		session: &session{conn: q.Conn, remote: q.Remote, opened: q.at},
		server:  s, prefix: resp.Prefix, timeout: in.Timeout, meta: in.Meta,
		channels: s.subscriptions(in, resp.Prefix), verdict: make(chan outcome, 1),
	}
	if p.timeout <= 0 {
		p.timeout = grip.DefaultTimeout
	}
	p.session.poll, p.session.gone = p, s.farewellCall(q.base(), in.Gone)
	p.update = !s.engine.opt.NoFirstUpdate && !s.engine.lingers.all(names(p.channels))
	return p
}

// wait joins the hub and returns with what ends the poll.
func (p *poll) wait(r *http.Request) outcome {
	p.engine.held.Add(1)
	m, err := p.engine.hub.Join(hub.Joining[*item]{
		Sink: nothing{}, Channels: names(p.channels), Receiver: p, Owner: p.session,
	})
	if err != nil {
		p.engine.held.Add(-1)
		return outcome{err: err}
	}
	select {
	case out := <-p.verdict:
		return out
	case <-r.Context().Done():
		m.Do(func() { m.End(hub.ErrGone) })
		return outcome{err: hub.ErrGone}
	}
}

// nothing is the sink of a long-poll, for which the hub writes nothing.
type nothing struct{}

func (nothing) Write(p []byte) (n int, full bool, err error) { return len(p), false, nil }
func (nothing) Finish()                                      {}
func (nothing) Abort()                                       {}

// decide ends the poll with out, unless something has already.
func (p *poll) decide(m *hub.Member[*item], out outcome) {
	if p.out != nil {
		return
	}
	if out.again {
		p.session.gone = nil // to be told before the origin is asked again
	}
	p.out = &out
	m.End(out.cause())
}

// ended is called once, when the member has ended and is counted, whatever the
// cause. Only now may the request go on: a client that has its answer must not
// find itself among the listeners of what is published next.
func (p *poll) ended(err error) {
	if p.out == nil {
		p.out = &outcome{err: err}
	}
	p.verdict <- *p.out
}

func (o outcome) cause() error {
	if o.err != nil {
		return o.err
	}
	return errFinished
}

// Admit implements hub.Receiver.
func (p *poll) Admit(m *hub.Member[*item]) {
	now := m.Now()
	p.until = now.Add(p.timeout)
	if p.engine.seq.stale(p.channels) {
		p.decide(m, outcome{again: true})
		return
	}
	if p.update && m.First() {
		p.againAt = now.Add(firstUpdate)
	}
	m.Wake(sooner(p.againAt, p.until))
}

// Tick implements hub.Receiver.
func (p *poll) Tick(m *hub.Member[*item], now time.Time) time.Time {
	switch {
	case !p.againAt.IsZero() && !now.Before(p.againAt):
		p.decide(m, outcome{again: true})
	case !now.Before(p.until):
		p.decide(m, outcome{err: errTimedOut})
	}
	return sooner(p.againAt, p.until)
}

// Deliver implements hub.Receiver.
func (p *poll) Deliver(m *hub.Member[*item], in []hub.Delivery[*item]) {
	for _, d := range in {
		if !m.Open() {
			return
		}
		p.deliver(m, d.Channel, d.Value)
	}
}

func (p *poll) deliver(m *hub.Member[*item], channel string, it *item) {
	sub, resp := findSubscription(p.channels, channel), it.HTTPResponse
	if sub == nil || resp == nil {
		return
	}
	if sub.PrevID != "" {
		if sub.PrevID != it.PrevID {
			p.engine.seq.forget(channel)
			p.decide(m, outcome{again: true})
			return
		}
	}
	switch resp.Action {
	case grip.Send:
		p.release(m, sub, it)
	case grip.Hint:
		if c := p.context(sub, it); c.Deliver(sub.Filters) {
			p.decide(m, outcome{again: true})
		}
	}
}

// release ends the poll with an item, unless a filter drops it.
func (p *poll) release(m *hub.Member[*item], sub *subscription, it *item) {
	resp := it.HTTPResponse
	if !grip.ContentFiltersMatch(resp.ContentFilters, sub.Filters) {
		p.engine.log.Warn("item dropped", "cause", "its content filters are not the subscription's", "conn", p.conn)
		return
	}
	c := p.context(sub, it)
	content, ok, err := c.Apply(sub.Filters, resp.Body)
	if sub.PrevID != "" {
		sub.PrevID = it.ID
	}
	switch {
	case err != nil:
		p.engine.log.Warn("item dropped", "cause", err, "conn", p.conn)
	case ok:
		m.Count()
		p.decide(m, outcome{release: resp, content: content})
	}
}

func (p *poll) context(sub *subscription, it *item) grip.FilterContext {
	return filterContext(p.channels, p.prefix, p.meta, sub, it)
}

// merge is the answer that an item releases: the held one's header, in which the
// item's replaces what has the same name (grip.md, 2.4 item 4).
func (p *poll) merge(held *Response, out outcome) *Response {
	resp := &Response{Status: out.release.Code, Reason: out.release.Reason, Header: http.Header{}, Body: out.content}
	if resp.Status != 0 && resp.Status < http.StatusOK || resp.Status > maxStatus {
		p.engine.log.Warn("published code cannot be sent, 500 in its place", "count", resp.Status, "conn", p.conn)
		resp.Status = http.StatusInternalServerError
	}
	if resp.reason() == "" {
		resp.Reason = grip.StatusReason(resp.Status)
	}
	for name, values := range held.Header {
		resp.Header[name] = values
	}
	mergeHeader(resp.Header, out.release.Header)
	if patch := out.release.BodyPatch; patch != nil {
		body, err := grip.ApplyPatch(held.Body, patch)
		if err != nil {
			p.engine.log.Warn("body patch does not apply, body left empty", "cause", err, "conn", p.conn)
		}
		resp.Body = body
	}
	return resp
}

// mergeHeader puts an item's header into that of a held response. What concerns
// the connection is not the publisher's to say, GRIP's own is not the client's to
// see, and names in Grip-Expose-Headers are taken out.
func mergeHeader(into http.Header, fields [][2]string) {
	seen := map[string]bool{}
	for _, f := range fields {
		name := http.CanonicalHeaderKey(f[0])
		switch {
		case name == "Grip-Expose-Headers":
			for hidden := range strings.SplitSeq(f[1], ",") {
				into.Del(strings.TrimSpace(hidden))
			}
		case grip.IsHeader(name) || slices.Contains(framing, name) || !validField(name, f[1]):
		case seen[name]:
			into[name] = append(into[name], f[1])
		default:
			seen[name] = true
			into[name] = []string{f[1]}
		}
	}
}

// framing are the fields that the engine writes itself.
var framing = []string{"Connection", "Content-Length", "Keep-Alive", "Transfer-Encoding", "Upgrade"}

// validField reports whether a published field can be written at all: a line
// break in it would begin a field, or a response, of the publisher's own.
func validField(name, value string) bool {
	return name != "" && !strings.ContainsAny(name, " \t\r\n:") && !strings.ContainsAny(value, "\r\n\x00")
}
