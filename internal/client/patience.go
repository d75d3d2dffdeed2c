package client

import (
	"sync"
	"time"
)

// patience ends a connection on which an answer is overdue. The clock runs only
// while an answer is awaited and the reader has nothing else to read: any byte
// is a sign of life, and a slow consumer is never mistaken for a silent service.
type patience struct {
	// Static after construction.
	limit time.Duration
	timer *time.Timer

	mu      sync.Mutex // guards the following
	awaited int        // answers asked for and not yet seen
	reading bool
}

// newPatience calls expired, at most once, when the limit is reached.
func newPatience(limit time.Duration, expired func()) *patience {
	t := time.AfterFunc(limit, expired)
	t.Stop()
	return &patience{limit: limit, timer: t}
}

// expect says that an answer is due. It comes before the question is written,
// so that a write which hangs is ended too.
func (p *patience) expect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awaited++; p.reading && p.awaited == 1 {
		p.timer.Reset(p.limit)
	}
}

// met says that an answer has come. One that nobody asked for counts nothing.
func (p *patience) met() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaited = max(0, p.awaited-1)
}

// enter and leave enclose each read of the connection.
func (p *patience) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading = true; p.awaited > 0 {
		p.timer.Reset(p.limit)
	}
}

func (p *patience) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
	p.timer.Stop()
}
