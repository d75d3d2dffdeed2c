package fanout

import (
	"sync"

	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// joined tells a Handler that speaks by itself when its socket can be written to.
type joined struct {
	mu      sync.Mutex // guards the following
	member  *hub.Member[*item]
	over    bool
	waiting []pushed // before the socket was accepted
}

// pushed is a reply that nobody asked for, and who waits for its end.
type pushed struct {
	reply *Reply
	taken chan<- bool // capacity 1
}

// Push implements Socket.Push.
func (s *socket) push(r *Reply) bool {
	taken := make(chan bool, 1)
	p := pushed{r, taken}
	j := &s.joined
	j.mu.Lock()
	m, over := j.member, j.over
	if m == nil && !over {
		j.waiting = append(j.waiting, p)
	}
	j.mu.Unlock()
	switch {
	case over:
		return false
	case m != nil:
		m.Always(func(alive bool) { s.takePush(m, p, alive) })
	}
	return <-taken
}

// takePush does what a Push asks for.
func (s *socket) takePush(m *hub.Member[*item], p pushed, alive bool) {
	alive = alive && !s.closing && !s.detached()
	if alive {
		s.finish(m, nil, s.perform(m, p.reply))
	}
	p.taken <- alive
}

// admit lets in what was pushed before.
func (j *joined) admit(m *hub.Member[*item], s *socket) {
	j.mu.Lock()
	waiting := j.waiting
	j.member, j.waiting = m, nil
	j.mu.Unlock()
	for _, p := range waiting {
		s.takePush(m, p, m.Open())
	}
}

// end turns away what comes now, and what still waits for a socket that was
// never accepted.
func (j *joined) end() {
	j.mu.Lock()
	waiting := j.waiting
	j.over, j.waiting = true, nil
	j.mu.Unlock()
	for _, p := range waiting {
		p.taken <- false
	}
}
