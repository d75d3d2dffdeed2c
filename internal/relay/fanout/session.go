package fanout

import (
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// session is what the engine knows of a held connection; the hub carries it as
// the member's owner.
type session struct {
	conn     uint64
	remote   string
	opened   time.Time
	format   hub.Format
	events   bool    // the response is an event stream
	reusable bool    // the connection can carry another request
	cut      bool    // ended without an end; set by the shard before the sink ends
	socket   *socket // nil for streams
	poll     *poll   // nil for others
	gone     func()  // tells the origin of the end, if it wants to know
}

// join makes a held stream a member of the hub.
func (s *server) join(q *asked, resp *Response, sink hub.Sink, f hub.Format, first []byte) (*session, error) {
	j := s.joining(q, resp, f, first)
	j.Sink = sink
	_, err := s.engine.hub.Join(j)
	if err != nil {
		s.engine.held.Add(-1)
	}
	return j.Owner.(*session), err
}

// joining is how a held stream joins. A stream that only listens is a plain
// member; one with ids, filters or a next link gets its own Receiver.
func (s *server) joining(q *asked, resp *Response, f hub.Format, first []byte) hub.Joining[*item] {
	s.engine.held.Add(1)
	in := resp.Instruct
	own := &session{
		conn: q.Conn, remote: q.Remote, opened: q.at, format: f,
		events: isEventStream(resp.Header.Get("Content-Type")), reusable: f == formatChunk && !q.closes,
	}
	own.gone = s.farewellCall(q.base(), in.Gone)
	j := hub.Joining[*item]{
		Format: f, First: first, Owner: own, Channels: names(s.subscriptions(in, resp.Prefix)),
		KeepAlive: s.engine.keepAlive(in.KeepAlive, f),
	}
	if needsReceiver(in) {
		j.Receiver = newStream(s, own, q, resp)
	}
	return j
}

func names(channels []subscription) []string {
	out := make([]string, len(channels))
	for i := range channels { // by place: the shard may be setting ids meanwhile
		out[i] = channels[i].Name
	}
	return out
}

func needsReceiver(in *grip.Instruct) bool {
	return in.Next.URI != "" || slices.ContainsFunc(in.Channels, func(c grip.Channel) bool {
		return c.PrevID != "" || len(c.Filters) > 0
	})
}

type keepAliveKey struct {
	data     string
	timeout  time.Duration
	interval bool
	format   hub.Format
}

// maxKeepAlives bounds how many distinct keep-alives are shared.
const maxKeepAlives = 1024

// keepAlive returns the shared, framed form of k, or nil if there is none.
func (e *Engine) keepAlive(k grip.KeepAlive, f hub.Format) *hub.KeepAlive {
	if len(k.Data) == 0 {
		return nil
	}
	key := keepAliveKey{string(k.Data), k.Timeout, k.Interval, f}
	if v, ok := e.keepAlives.Load(key); ok {
		return v.(*hub.KeepAlive)
	}
	out := &hub.KeepAlive{Data: frame(k.Data, f), Timeout: max(k.Timeout, time.Second), Interval: k.Interval}
	if e.kept.Add(1) > maxKeepAlives {
		return out
	}
	v, _ := e.keepAlives.LoadOrStore(key, out)
	return v.(*hub.KeepAlive)
}

// farewell is the hub's Farewell: a stream that ends in good order gets the end
// of its body; one that is cut for being slow is told so, as far as the body's
// type allows, and otherwise left without an end, so that its reader can tell.
func farewell(m *hub.Member[*item], cause error) []byte {
	s := m.Owner().(*session)
	if s == nil {
		return nil
	}
	if s.socket != nil {
		return s.socket.farewell(causeOf(cause))
	}
	end := ""
	if s.format == formatChunk {
		end = "0\r\n\r\n"
	}
	if causeOf(cause) == causeSlow {
		if !s.events {
			s.cut = true
			return nil
		}
		return append(frame([]byte(": ended: slow reader\n\n"), s.format), end...)
	}
	return []byte(end)
}

// isEventStream reports whether a Content-Type is text/event-stream.
func isEventStream(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(t), "text/event-stream")
}
