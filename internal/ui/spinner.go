package ui

import (
	"io"
	"time"
)

// When a spinner appears, and how often it moves.
const (
	spinAfter = 300 * time.Millisecond
	spinEvery = 120 * time.Millisecond
)

// spinFrames are the frames, in ASCII.
const spinFrames = `|/-\`

// Spin shows on Err that text is being worked on, once that has taken a while and
// only on a terminal. stop takes it away again; it has to be called, once, before
// anything else is written to Err.
func (s *Streams) Spin(text string) (stop func()) {
	if !s.Spins {
		return func() {}
	}
	text = Escape(s.Secrets.Redact(text))
	end, ended := make(chan struct{}), make(chan struct{})
	go func() { // owned by the caller; ends by stop
		defer close(ended)
		s.spin(text, end)
	}()
	return func() {
		close(end)
		<-ended
	}
}

// spin draws until end is closed, and leaves an empty line.
func (s *Streams) spin(text string, end <-chan struct{}) {
	t := time.NewTimer(spinAfter)
	defer t.Stop()
	for n := 0; ; n++ {
		select {
		case <-end:
			if n > 0 {
				s.raw("\r\x1b[K")
			}
			return
		case <-t.C:
		}
		s.raw("\r" + spinFrames[n%len(spinFrames):][:1] + " " + text + "\x1b[K")
		t.Reset(spinEvery)
	}
}

// raw writes to Err what is no line; as with lines, there is nowhere to report an error.
func (s *Streams) raw(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.Err, text)
}
