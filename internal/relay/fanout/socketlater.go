package fanout

import (
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// later is what a socket has for its client and holds back: frames behind a
// handshake that must settle first, and a delayed message. Owned by the shard.
type later struct {
	settle   time.Duration // behind the 101; 0 once that has passed
	settleAt time.Time
	held     []byte

	delayed   []byte // the frame; nil if there is none
	delayedAt time.Time
}

func (l *later) wakeAt() time.Time { return sooner(l.settleAt, l.delayedAt) }

// tick sends what is due.
func (l *later) tick(s *socket, m *hub.Member[*item], now time.Time) {
	if !l.settleAt.IsZero() && !now.Before(l.settleAt) {
		s.settled(m)
	}
	if !l.delayedAt.IsZero() && !now.Before(l.delayedAt) {
		s.write(m, l.flush(nil))
	}
}

// flush appends the delayed message, which is then no longer one.
func (l *later) flush(dst []byte) []byte {
	dst = append(dst, l.delayed...)
	l.delayed, l.delayedAt = nil, time.Time{}
	return dst
}

// delay keeps a message for later; one that waits already goes first.
func (s *socket) delay(dst []byte, c grip.Control) []byte {
	if s.later == nil {
		s.later = new(later)
	}
	dst = s.later.flush(dst)
	s.later.delayed = appendFrame(nil, opOf(c.MessageType), c.Content)
	s.later.delayedAt = time.Now().Add(c.Timeout)
	return dst
}

func (s *socket) settling() bool { return s.later != nil && s.later.settle > 0 }

func (s *socket) startSettling(m *hub.Member[*item]) {
	if s.settling() {
		s.later.settleAt = m.Now().Add(s.later.settle)
	}
}

// settled ends the pause behind the handshake. It must not be called from Deliver.
func (s *socket) settled(m *hub.Member[*item]) {
	if s.settling() {
		s.release(m)
		m.SetDirect(s.plain())
	}
}

// unsent is what the handshake still holds back.
func (s *socket) unsent() []byte {
	if !s.settling() {
		return nil
	}
	return s.later.held
}

// release writes what was held back behind the handshake.
func (s *socket) release(m *hub.Member[*item]) {
	if !s.settling() {
		return
	}
	held := s.later.held
	s.later.settle, s.later.settleAt, s.later.held = 0, time.Time{}, nil
	m.Write(held)
}

// write sends frames, or holds them back with those that the handshake holds.
func (s *socket) write(m *hub.Member[*item], p []byte) {
	if s.settling() {
		s.later.held = append(s.later.held, p...)
		return
	}
	m.Write(p)
}

// deliver is write for one published item.
func (s *socket) deliver(m *hub.Member[*item], p []byte) {
	if s.settling() {
		s.later.held = append(s.later.held, p...)
		return
	}
	m.Deliver(p)
}

// detach takes the socket away from its Handler: it is told of a close, and
// items go on to reach the client.
func (s *socket) detach(m *hub.Member[*item]) {
	s.tell(grip.EventClose)
	s.rest, s.parts, s.callAt = nil, nil, time.Time{}
	m.Wake(s.wakeAt())
}

func (s *socket) detached() bool { return s.told && !s.closing }

// discard takes what the client of a detached socket sends: nobody wants it, but
// a close frame has its answer.
func (s *socket) discard(m *hub.Member[*item], in []grip.Event) {
	if len(in) == 0 || !isClose(in[len(in)-1]) {
		return
	}
	code, reason, _ := grip.ParseClose(in[len(in)-1].Content)
	s.write(m, closeFrame(code, reason))
	s.closing = true
	m.End(errFinished)
}
