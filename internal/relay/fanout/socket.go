package fanout

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

const (
	// maxQueued is how many bytes a client may send while its Handler is busy
	// before the engine stops reading from it.
	maxQueued = 256 << 10
	// maxRest and maxParts bound the content that a Handler leaves unaccepted, in
	// bytes and in messages (grip.md, 5.7 item 8).
	maxRest  = maxMessage
	maxParts = 8 << 10
	// closeWait is how long a client may take to answer a close frame.
	closeWait = 2 * time.Second
	// maxCalls is how many calls of one Handler's Events may be waited for at once.
	maxCalls = 512
)

// socket is the Receiver of a WebSocket. Everything but the static fields is
// owned by its shard, except info.State, which belongs to the call under way.
type socket struct {
	// Static after construction.
	*session
	*server
	handler SocketHandler
	info    Socket
	joined  joined

	frames  frames
	early   []byte       // sent behind the handshake
	opening *effect      // of the answer to the handshake
	batch   []grip.Event // of one Input, used again
	rest    []byte       // content that was not accepted, flat
	parts   []grip.Event // its events, slices of rest
	queue   []grip.Event // came while busy, contents copied
	queued  int
	busy    bool           // a call is under way on a worker
	again   bool           // a refresh came meanwhile
	closing bool           // a close frame was sent or the client is being dropped
	told    bool           // the Handler knows of the end, or has detached itself
	asked   bool           // the client has closed and waits for the Handler's close
	untold  grip.EventType // how it ended, for a Handler that is busy

	subs     []subscription
	meta     map[string]string
	interval time.Duration
	callAt   time.Time // when an empty batch is due
	closeAt  time.Time // when a client that does not answer a close frame is dropped
	later    *later    // what is held back; nil for most sockets
}

// askEvents calls the Handler and turns its panic into an error.
func askEvents(ctx context.Context, h SocketHandler, s *Socket, in []grip.Event) (reply *Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v", p)
		}
	}()
	if reply, err = h.Events(ctx, s, in); reply == nil && err == nil {
		err = errNoAnswer
	}
	return reply, err
}

// joining is how an accepted socket joins: head first, then the reply's frames.
func (s *socket) joining(reply *Reply, head []byte) hub.Joining[*item] {
	s.engine.held.Add(1)
	s.interval = max(0, reply.Interval)
	if reply.Settle > 0 {
		s.later = &later{settle: reply.Settle}
	}
	a := s.follow(reply)
	s.opening = &a
	first := append(head, a.out...)
	if s.later != nil && s.later.settle > 0 {
		first, s.later.held = head, a.out
	}
	return hub.Joining[*item]{
		Format: formatFrame, First: first, Owner: s.session, Channels: names(s.subs), KeepAlive: a.keep,
		Receiver: s, Direct: s.plain(),
	}
}

// Admit implements hub.Receiver.
func (s *socket) Admit(m *hub.Member[*item]) {
	s.startSettling(m)
	m.Wake(s.wakeAt())
	if s.opening.detach {
		s.detach(m)
	}
	s.finish(m, nil, s.opening.end)
	s.opening = nil
	s.joined.admit(m, s)
	if early := s.early; len(early) > 0 {
		s.early = nil
		s.Input(m, early)
	}
}

// Input implements hub.Reader.
func (s *socket) Input(m *hub.Member[*item], p []byte) {
	s.settled(m)
	if s.closing {
		s.awaitClose(m, p)
		return
	}
	if s.asked {
		return // nothing counts behind a close frame
	}
	events, err := s.frames.read(s.batch[:0], p)
	s.batch = events[:0]
	if i := slices.IndexFunc(events, isClose); i >= 0 {
		events, err = events[:i+1], nil // nothing counts behind a close frame
	}
	if len(events) > 0 {
		s.submit(m, events)
	}
	if err != nil && !s.closing {
		s.engine.log.Warn("socket closed", "cause", err, "conn", s.conn, "remote", s.remote)
		s.sayClose(m, faultClose(err))
	}
}

func isClose(e grip.Event) bool { return e.Type == grip.EventClose }

// awaitClose waits for the client's close frame, or its end, to end in turn.
func (s *socket) awaitClose(m *hub.Member[*item], p []byte) {
	events, err := s.frames.read(s.batch[:0], p)
	s.batch = events[:0]
	if err != nil || len(p) == 0 || slices.ContainsFunc(events, isClose) {
		m.End(errFinished)
	}
}

// submit gives events to the Handler, now or when it has answered.
func (s *socket) submit(m *hub.Member[*item], in []grip.Event) {
	if s.detached() {
		s.discard(m, in)
		return
	}
	if s.busy {
		s.hold(m, in)
		return
	}
	if len(s.parts) > 0 {
		in = append(slices.Clone(s.parts), in...)
	}
	s.callAt = time.Time{}
	if !s.engine.hub.Crowded() && s.handler.QuickEvents(&s.info, in) {
		reply, err := askEvents(s.engine.onShard, s.handler, &s.info, in)
		s.apply(m, in, reply, err)
		return
	}
	s.busy = true
	in = cloneEvents(in)
	s.engine.work.start(func() {
		s.calls <- struct{}{}
		reply, err := askEvents(s.engine.ctx, s.handler, &s.info, in)
		<-s.calls
		m.Always(func(alive bool) { s.answered(m, in, reply, err, alive) })
	})
}

func cloneEvents(in []grip.Event) []grip.Event {
	out := make([]grip.Event, len(in))
	for i, e := range in {
		out[i] = grip.Event{Type: e.Type, Content: slices.Clone(e.Content)}
	}
	return out
}

// hold keeps what comes while the Handler is busy; a client that sends more
// than it should waits.
func (s *socket) hold(m *hub.Member[*item], in []grip.Event) {
	for _, e := range in {
		s.queue = append(s.queue, grip.Event{Type: e.Type, Content: slices.Clone(e.Content)})
		s.queued += len(e.Content) + 32
	}
	if s.queued > maxQueued {
		m.Pause()
	}
}

// answered takes in what a worker brought.
func (s *socket) answered(m *hub.Member[*item], in []grip.Event, reply *Reply, err error, alive bool) {
	s.busy = false
	if !alive || s.closing {
		if s.untold != grip.EventUnknown { // else ended will tell
			s.tell(s.untold)
		}
		return // whoever closed did not wait for this answer
	}
	s.apply(m, in, reply, err)
	if s.untold != grip.EventUnknown {
		s.tell(s.untold) // it has detached itself
	}
	queue := s.queue
	s.queue, s.queued = nil, 0
	switch {
	case s.closing:
		m.Resume()
		return
	case len(queue) > 0:
		s.again = false
		s.submit(m, queue)
		m.Resume()
		return
	}
	if s.again {
		s.again = false
		s.submit(m, nil)
	}
}

// apply does what a reply asks for.
func (s *socket) apply(m *hub.Member[*item], in []grip.Event, reply *Reply, err error) {
	if err != nil {
		s.engine.log.Warn("socket dropped", "cause", err, "conn", s.conn, "remote", s.remote)
		s.drop(m)
		return
	}
	s.keepRest(in, reply.Rest)
	if reply.Interval != 0 {
		s.interval = max(0, reply.Interval)
	}
	s.finish(m, in, s.perform(m, reply))
}

// perform does what a reply says and returns the event with which it ends the
// socket, if it does.
func (s *socket) perform(m *hub.Member[*item], reply *Reply) (end grip.EventType) {
	a := s.follow(reply)
	if a.keep != nil {
		m.SetKeepAlive(a.keep)
	}
	if a.control {
		m.SetDirect(s.plain())
		m.SetChannels(names(s.subs))
		m.Wake(s.wakeAt())
	}
	s.write(m, a.out)
	if a.detach {
		s.detach(m)
	}
	return a.end
}

// finish goes on, or ends the socket, as the answer to in wants it.
func (s *socket) finish(m *hub.Member[*item], in []grip.Event, end grip.EventType) {
	closes := len(in) > 0 && isClose(in[len(in)-1])
	switch {
	case end == grip.EventDisconnect:
		s.drop(m)
	case end == grip.EventClose && (closes || s.asked):
		s.closing, s.told = true, true
		m.End(errFinished)
	case end == grip.EventClose:
		s.told = true
		s.awaitEnd(m)
	case closes && s.interval > 0 && len(s.rest) == 0:
		s.asked = true // the origin may still answer the close (grip.md, 5.6)
		s.schedule(m)
	case closes:
		s.drop(m) // the origin did not answer the close (grip.md, 5.6)
	case len(s.rest) > maxRest || len(s.parts) > maxParts:
		s.engine.log.Warn("socket closed", "cause", errRest, "conn", s.conn, "remote", s.remote)
		s.sayClose(m, faultClose(errRest))
	default:
		s.schedule(m)
	}
}

// drop ends the connection without a close frame, as its Handler wants it or has
// made it necessary, and so without telling it. What was written before still goes
// out.
func (s *socket) drop(m *hub.Member[*item]) {
	s.closing, s.told = true, true
	m.End(errOrigin)
}

// keepRest copies the content that was not accepted, event by event.
func (s *socket) keepRest(in []grip.Event, rest int) {
	if rest == 0 {
		s.rest, s.parts = nil, nil
		return
	}
	first, offset := len(in), 0
	for rest > 0 && first > 0 {
		first--
		n := len(in[first].Content)
		if isClose(in[first]) {
			continue
		}
		offset = max(0, n-rest)
		rest -= n - offset
	}
	var flat []byte
	var parts []grip.Event
	for i, e := range in[first:] {
		if isClose(e) {
			continue
		}
		c := e.Content
		if i == 0 {
			c = c[offset:]
		}
		flat = append(flat, c...)
		parts = append(parts, grip.Event{Type: e.Type, Content: c})
	}
	at := 0
	for i := range parts {
		n := len(parts[i].Content)
		parts[i].Content = flat[at : at+n : at+n]
		at += n
	}
	s.rest, s.parts = flat, parts
}

// appendReply writes the frames of a reply, up to and with the one that ends
// the socket, and says which that is.
func appendReply(dst []byte, events []grip.Event) (out []byte, end grip.EventType) {
	for _, e := range events {
		switch e.Type {
		case grip.EventText:
			dst = appendFrame(dst, ws.OpText, e.Content)
		case grip.EventBinary:
			dst = appendFrame(dst, ws.OpBinary, e.Content)
		case grip.EventPing:
			dst = appendFrame(dst, ws.OpPing, e.Content)
		case grip.EventPong:
			dst = appendFrame(dst, ws.OpPong, e.Content)
		case grip.EventClose:
			code, reason, _ := grip.ParseClose(e.Content) // a single byte counts as none
			return append(dst, closeFrame(code, reason)...), e.Type
		case grip.EventOpen, grip.EventDisconnect:
			return dst, grip.EventDisconnect
		}
	}
	return dst, grip.EventUnknown
}

// sayClose sends a close frame and waits for the client's.
func (s *socket) sayClose(m *hub.Member[*item], frame []byte) {
	s.write(m, frame)
	s.awaitEnd(m)
}

// awaitEnd waits for the client's close frame, with nothing more for it.
func (s *socket) awaitEnd(m *hub.Member[*item]) {
	s.release(m)
	s.closing = true
	s.closeAt = m.Now().Add(closeWait)
	m.SetChannels(nil)
	m.SetKeepAlive(nil)
	m.Wake(s.closeAt)
}

// schedule sets when an empty batch is due.
func (s *socket) schedule(m *hub.Member[*item]) {
	if s.interval <= 0 || s.closing || s.told {
		s.callAt = time.Time{}
		return
	}
	// A timer that is set already finds the new time when it fires.
	unset := s.callAt.IsZero()
	s.callAt = m.Now().Add(s.interval)
	if unset {
		m.Wake(s.wakeAt())
	}
}

// Tick implements hub.Receiver.
func (s *socket) Tick(m *hub.Member[*item], now time.Time) time.Time {
	switch {
	case s.closing:
		if !now.Before(s.closeAt) {
			m.End(errFinished)
			return time.Time{}
		}
		return s.closeAt
	case !s.busy && !s.callAt.IsZero() && !now.Before(s.callAt):
		s.submit(m, nil)
	}
	if s.later != nil {
		s.later.tick(s, m, now)
	}
	return s.wakeAt()
}

// wakeAt is when the socket has something to do by itself.
func (s *socket) wakeAt() time.Time {
	switch {
	case s.closing:
		return s.closeAt
	case s.later != nil:
		return sooner(s.callAt, s.later.wakeAt())
	}
	return s.callAt
}

// sooner is the earlier of two times of which either may be zero for never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
