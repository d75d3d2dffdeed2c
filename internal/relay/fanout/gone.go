package fanout

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

// goneTimeout bounds a call to a gone link.
const goneTimeout = 10 * time.Second

// farewellCall returns what tells the origin's gone link that a connection has
// ended (grip.md, 2.10), nil without a link. It is for the hub's Ended.
func (s *server) farewellCall(at base, link string) func() {
	if link == "" {
		return nil
	}
	return func() {
		s.engine.work.start(func() {
			s.calls <- struct{}{}
			defer func() { <-s.calls }()
			s.tellGone(s.engine.ctx, at, link)
		})
	}
}

// tellGone calls a gone link. What it answers does not matter.
func (s *server) tellGone(ctx context.Context, at base, link string) {
	if link == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, goneTimeout)
	defer cancel()
	path, query, _ := strings.Cut(link, "?")
	resp, err := ask(ctx, s.handler, &Request{
		Method: http.MethodPost, Path: path, RawQuery: query, Host: at.host, Secure: at.secure,
		Body: http.NoBody, FollowUp: true,
	})
	if err != nil {
		s.engine.log.Warn("gone link not told", "cause", err)
		return
	}
	if resp.Stream != nil {
		_ = resp.Stream.Close()
	}
}

const (
	// lingerTime is for how long a channel counts as listened to after its last
	// long-poll has ended: the next one is on its way (grip.md, 2.7).
	lingerTime = 60 * time.Second
	// maxLingers bounds how many channels do.
	maxLingers = 1 << 16
)

// lingers are the channels that long-polls have left not long ago.
type lingers struct {
	life time.Duration // static

	mu    sync.Mutex // guards the following
	until map[string]time.Time
	sweep int // how many there may be before those that are over are cleared
}

// add makes the channels linger from now on.
func (l *lingers) add(names []string) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until, l.sweep = map[string]time.Time{}, 1024
	}
	if len(l.until) >= l.sweep {
		for name, at := range l.until {
			if !now.Before(at) {
				delete(l.until, name)
			}
		}
		l.sweep = min(maxLingers, 1024+2*len(l.until))
	}
	for _, name := range names {
		if len(l.until) < maxLingers {
			l.until[strings.Clone(name)] = now.Add(l.life)
		}
	}
}

func (l *lingers) has(name string) bool { return l.all([]string{name}) }

// all reports whether every one of the channels lingers.
func (l *lingers) all(names []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.until) == 0 {
		return false
	}
	now := time.Now()
	for _, name := range names {
		if at, ok := l.until[name]; !ok || !now.Before(at) {
			return false
		}
	}
	return true
}
