package tail

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/client"
)

const (
	// frame is the time of one redraw; a batch takes no longer to gather.
	frame = 33 * time.Millisecond
	// maxBatch bounds what one Update has to append.
	maxBatch = 512
	// ahead is how many events may wait for the screen. With the largest
	// payloads they take 32 MiB.
	ahead = 1024
)

// happening is an event of one feed.
type happening struct {
	feed  int
	event client.Event // its data is a copy
	crash *crash       // instead of an event, if the feed's goroutine panicked
}

// batchMsg is what happened during one frame, at least one thing.
type batchMsg []happening

// feeds runs subscriptions, each in a goroutine of its own, and joins what they
// say in one channel. The channel has many senders and is never closed; ctx ends
// everything.
type feeds struct {
	// Static after construction.
	ctx     context.Context // the program's
	service Service
	events  chan happening

	running sync.WaitGroup

	mu   sync.Mutex // guards the following
	stop map[int]context.CancelFunc
}

func newFeeds(ctx context.Context, s Service) *feeds {
	return &feeds{ctx: ctx, service: s, events: make(chan happening, ahead), stop: map[int]context.CancelFunc{}}
}

// start begins a subscription. Its goroutine belongs to f and ends with it, or by
// end, or when the subscription is over; wait waits for it.
func (f *feeds) start(id int, s Subscription) {
	ctx, cancel := context.WithCancel(f.ctx)
	f.mu.Lock()
	f.stop[id] = cancel
	f.mu.Unlock()
	f.running.Go(func() {
		defer cancel()
		defer f.crashed(ctx, id)
		// The last event tells the reason already.
		_ = f.service.Follow(ctx, s, func(e client.Event) error {
			e.Message.Data = slices.Clone(e.Message.Data)
			return f.put(ctx, happening{feed: id, event: e})
		})
	})
}

// put hands over one event. It waits for the screen, and so does the client.
func (f *feeds) put(ctx context.Context, h happening) error {
	select {
	case f.events <- h:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// crashed reports a panic of a subscription, so that the terminal is restored
// before the process ends.
func (f *feeds) crashed(ctx context.Context, id int) {
	if v := recover(); v != nil {
		_ = f.put(ctx, happening{feed: id, crash: &crash{v, debug.Stack()}})
	}
}

// end stops one subscription; what it has sent already may still arrive.
func (f *feeds) end(id int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if cancel := f.stop[id]; cancel != nil {
		cancel()
	}
	delete(f.stop, id)
}

// wait returns when all subscriptions have ended; ctx must be over.
func (f *feeds) wait() { f.running.Wait() }

// next waits for one event and takes what else comes within a frame. A command
// per message would starve the screen.
func (f *feeds) next() tea.Cmd {
	return func() tea.Msg {
		var batch batchMsg
		select {
		case h := <-f.events:
			batch = append(batch, h)
		case <-f.ctx.Done():
			return nil
		}
		full := time.NewTimer(frame)
		defer full.Stop()
		for len(batch) < maxBatch {
			select {
			case h := <-f.events:
				batch = append(batch, h)
			case <-full.C:
				return batch
			case <-f.ctx.Done():
				return nil
			}
		}
		return batch
	}
}
