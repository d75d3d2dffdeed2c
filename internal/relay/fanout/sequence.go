package fanout

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

const (
	// idLife is how long an item's id is remembered, to drop it when it comes again.
	idLife = 60 * time.Second
	// maxIDs bounds how many ids are remembered.
	maxIDs = 100_000
	// orderWait is how long an item waits for the one before it.
	orderWait = 5 * time.Second
	// maxAhead is how many items of a channel may wait so.
	maxAhead = 100
	// sweepEvery is how many channels are added between two looks for idle ones.
	sweepEvery = 1024
)

// sequencer drops items whose id has been seen and puts items with a prev-id in
// order (grip.md, 3.4). Channels whose items carry neither pass it by.
type sequencer struct {
	subscribers func(channel string) int
	deliver     func(*grip.Item) int
	wait, life  time.Duration // Options.OrderWait and IDLife

	tracked atomic.Int64 // channels in lasts, so that idle takes no lock

	mu    sync.Mutex // guards the following; held while delivering, to keep order
	seen  map[seenKey]time.Time
	order []seenKey // by age
	lasts map[string]*lastID
	timer *time.Timer
	ended bool
}

type seenKey struct{ channel, id string }

// lastID is what a channel's listeners have last been given, and what waits.
type lastID struct {
	id    string
	ahead []aheadItem
}

type aheadItem struct {
	item  *grip.Item
	until time.Time
}

func newSequencer(subscribers func(string) int, deliver func(*grip.Item) int, opt Options) *sequencer {
	return &sequencer{
		subscribers: subscribers, deliver: deliver, wait: opt.OrderWait, life: opt.IDLife,
		seen: map[seenKey]time.Time{}, lasts: map[string]*lastID{},
	}
}

// idle reports whether no channel has a last id, so that items without ids need
// no sequencing.
func (q *sequencer) idle() bool { return q.tracked.Load() == 0 }

// accept delivers it, now or when those before it have come, or drops it. It
// returns how many connections it and what it set free were handed to.
func (q *sequencer) accept(it *grip.Item) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if q.repeated(it, now) {
		return 0
	}
	if it.NoSeq {
		return q.deliver(it)
	}
	if q.subscribers(it.Channel) == 0 {
		q.drop(it.Channel)
		return q.deliver(it)
	}
	last := q.lasts[it.Channel]
	if last != nil && last.id != "" && it.PrevID != "" && it.PrevID != last.id {
		q.hold(last, it, now)
		return 0
	}
	return q.release(it)
}

// repeated reports whether the id was seen not long ago, and remembers it.
func (q *sequencer) repeated(it *grip.Item, now time.Time) bool {
	for len(q.order) > 0 && (len(q.order) > maxIDs || now.Sub(q.seen[q.order[0]]) > q.life) {
		delete(q.seen, q.order[0])
		q.order = q.order[1:]
	}
	if it.ID == "" {
		return false
	}
	key := seenKey{it.Channel, it.ID}
	if _, ok := q.seen[key]; ok {
		return true
	}
	q.seen[key] = now
	q.order = append(q.order, key)
	return false
}

// release delivers it and then those that waited for it.
func (q *sequencer) release(it *grip.Item) int {
	n := q.deliver(it)
	for {
		last := q.remember(it)
		if last == nil {
			return n
		}
		next := last.after(it.ID)
		if next == nil {
			return n
		}
		n += q.deliver(next)
		it = next
	}
}

// remember sets the channel's last id; an item without one makes it unknown.
func (q *sequencer) remember(it *grip.Item) *lastID {
	last := q.lasts[it.Channel]
	if last == nil {
		if it.ID == "" {
			return nil
		}
		q.sweep()
		last = new(lastID)
		q.lasts[it.Channel] = last
		q.tracked.Store(int64(len(q.lasts)))
	}
	last.id = it.ID
	return last
}

// sweep drops channels that have lost their listeners, each time that as many
// have been added as sweepEvery.
func (q *sequencer) sweep() {
	if (len(q.lasts)+1)%sweepEvery != 0 {
		return
	}
	for name := range q.lasts {
		if q.subscribers(name) == 0 {
			delete(q.lasts, name)
		}
	}
}

// after takes out the waiting item that follows id.
func (l *lastID) after(id string) *grip.Item {
	for i, a := range l.ahead {
		if id != "" && a.item.PrevID == id {
			l.ahead = append(l.ahead[:i], l.ahead[i+1:]...)
			return a.item
		}
	}
	return nil
}

// hold keeps an item that came too early, unless its place is taken.
func (q *sequencer) hold(last *lastID, it *grip.Item, now time.Time) {
	if len(last.ahead) >= maxAhead {
		return
	}
	for _, a := range last.ahead {
		if a.item.PrevID == it.PrevID {
			return
		}
	}
	last.ahead = append(last.ahead, aheadItem{it, now.Add(q.wait)})
	if q.timer == nil && !q.ended {
		q.timer = time.AfterFunc(q.wait, q.overdue) // stopped by stop
	}
}

// overdue delivers what has waited long enough, whatever is missing before it.
func (q *sequencer) overdue() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timer = nil
	if q.ended {
		return
	}
	now, soonest := time.Now(), time.Time{}
	for _, last := range q.lasts {
		for len(last.ahead) > 0 && !now.Before(last.ahead[0].until) {
			it := last.ahead[0].item
			last.ahead = last.ahead[1:]
			q.release(it)
		}
		if len(last.ahead) > 0 && (soonest.IsZero() || last.ahead[0].until.Before(soonest)) {
			soonest = last.ahead[0].until
		}
	}
	if !soonest.IsZero() {
		q.timer = time.AfterFunc(soonest.Sub(now), q.overdue) // stopped by stop
	}
}

// forget makes a channel's last id unknown, as a listener found it wanting.
func (q *sequencer) forget(channel string) {
	if q.idle() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if last := q.lasts[channel]; last != nil {
		last.id = ""
	}
}

// forgetAll makes every channel's last id unknown.
func (q *sequencer) forgetAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, last := range q.lasts {
		last.id = ""
	}
}

// drop forgets a channel that nobody listens to.
func (q *sequencer) drop(channel string) {
	if _, ok := q.lasts[channel]; ok {
		delete(q.lasts, channel)
		q.tracked.Store(int64(len(q.lasts)))
	}
}

// stale reports whether a channel has moved on from the prev-id that a new
// stream was given (grip.md, 2.11); such a channel's last id is forgotten.
func (q *sequencer) stale(channels []subscription) bool {
	if q.idle() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	found := false
	for _, c := range channels {
		last := q.lasts[c.Name]
		if last != nil && last.id != "" && c.PrevID != "" && last.id != c.PrevID {
			last.id, found = "", true
		}
	}
	return found
}

// stop ends the timer.
func (q *sequencer) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	if q.timer != nil {
		q.timer.Stop()
	}
}
