package hub

import "sync"

// Mailbox is the portable sink: a bounded buffer that one goroutine, running
// Serve, empties into whatever it likes, a TLS connection or an HTTP/2 stream.
type Mailbox struct {
	size   int
	signal Signal

	mu       sync.Mutex // guards the following
	room     []byte     // what has been taken and not yet served
	full     bool       // a Write was cut short, so Serve owes a signal
	finished bool
	aborted  bool
	left     error         // Serve has returned because of this
	served   bool          // Serve has returned
	after    func()        // to be called then
	wake     chan struct{} // capacity 1; its only receiver is Serve
}

// NewMailbox makes a mailbox that takes up to size bytes ahead of its reader;
// 0 stands for 64 KiB.
func NewMailbox(size int) *Mailbox {
	if size <= 0 {
		size = 64 << 10
	}
	return &Mailbox{size: size, wake: make(chan struct{}, 1)}
}

func (b *Mailbox) watch(s Signal) {
	b.mu.Lock()
	b.signal = s
	left := b.left
	b.mu.Unlock()
	if left != nil {
		s.Gone(left)
	}
}

// Write implements Sink.
func (b *Mailbox) Write(p []byte) (n int, full bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left != nil {
		return 0, false, b.left
	}
	n = min(len(p), max(0, b.size-len(b.room)))
	b.room = append(b.room, p[:n]...)
	b.full = b.full || n < len(p)
	b.poke()
	return n, n < len(p), nil
}

// Finish implements Sink: Serve returns when the buffer is empty.
func (b *Mailbox) Finish() { b.end(&b.finished) }

// Abort implements Sink: Serve returns without writing what is left.
func (b *Mailbox) Abort() { b.end(&b.aborted) }

func (b *Mailbox) end(flag *bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*flag = true
	b.poke()
}

func (b *Mailbox) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Serve passes what is written to write, in order, until the member has ended
// or gone is closed, and reports whether the member ended in good order. It
// must be called once; when it returns the member ends too.
func (b *Mailbox) Serve(gone <-chan struct{}, write func([]byte) error) (finished bool) {
	defer b.endServe()
	var spare []byte
	for {
		taken, state := b.take(spare)
		if state == mailAborted {
			return false
		}
		if len(taken) > 0 {
			if err := write(taken); err != nil {
				b.leave(err)
				return false
			}
			spare = taken[:0]
			continue
		}
		if state == mailFinished {
			return true
		}
		spare = nil // an idle connection keeps no buffer
		select {
		case <-b.wake:
		case <-gone:
			b.leave(ErrGone)
			return false
		}
	}
}

// afterServe calls f when Serve has returned, or at once if it has already.
func (b *Mailbox) afterServe(f func()) {
	b.mu.Lock()
	served := b.served
	b.after = f
	b.mu.Unlock()
	if served {
		f()
	}
}

func (b *Mailbox) endServe() {
	b.mu.Lock()
	b.served = true
	after := b.after
	b.mu.Unlock()
	if after != nil {
		after()
	}
}

type mailState uint8

const (
	mailOpen mailState = iota
	mailFinished
	mailAborted
)

// take empties the buffer, leaving spare in its place, and signals room.
func (b *Mailbox) take(spare []byte) (taken []byte, state mailState) {
	b.mu.Lock()
	taken, b.room = b.room, spare
	owed, signal := b.full, b.signal
	b.full = false
	switch {
	case b.aborted:
		state = mailAborted
	case b.finished:
		state = mailFinished
	}
	b.mu.Unlock()
	if owed {
		signal.Writable()
	}
	return taken, state
}

func (b *Mailbox) leave(err error) {
	b.mu.Lock()
	b.left = err
	signal := b.signal
	b.mu.Unlock()
	if signal.gone != nil {
		signal.Gone(err)
	}
}
