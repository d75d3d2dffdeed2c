package loadtest

import "fmt"

// ledger knows which message was sent and who has received it. It is what makes
// a lost, repeated or reordered message an error. Its owner is the load
// generator's loop; nothing else may call it.
type ledger struct {
	subs, pubs int
	mask       uint32

	next   []uint32 // per subscriber and publisher: the message it must get next
	counts []uint32 // per publisher, a ring over messages: how many have it
	sent   []uint32 // per publisher
	done   []uint32 // per publisher: all below have reached every subscriber

	open      int    // messages sent and not yet done
	delivered uint64 // messages received, over all subscribers

	from    int64 // only messages due from here on count for latency
	latency histogram
}

// newLedger makes a ledger for at most window messages on their way at once.
func newLedger(subs, pubs, window int) *ledger {
	ring := 1
	for ring < window {
		ring *= 2
	}
	return &ledger{
		subs: subs, pubs: pubs, mask: uint32(ring - 1),
		next: make([]uint32, subs*pubs), counts: make([]uint32, pubs*ring),
		sent: make([]uint32, pubs), done: make([]uint32, pubs),
	}
}

// send takes the next sequence number of a publisher. The caller keeps open
// below the window.
func (l *ledger) send(pub int) uint32 {
	seq := l.sent[pub]
	l.sent[pub]++
	l.open++
	l.counts[l.slot(pub, seq)] = 0
	return seq
}

func (l *ledger) slot(pub int, seq uint32) int {
	return pub*int(l.mask+1) + int(seq&l.mask)
}

// deliver notes that a subscriber has received r at time now.
func (l *ledger) deliver(sub int, r record, now int64) error {
	if r.pub >= l.pubs || r.seq >= l.sent[r.pub] {
		return fmt.Errorf("subscriber %d received message %d of publisher %d, which was never sent", sub, r.seq, r.pub)
	}
	next := &l.next[sub*l.pubs+r.pub]
	if r.seq != *next {
		return fmt.Errorf("subscriber %d received message %d of publisher %d, wanted %d: lost, repeated or out of order", sub, r.seq, r.pub, *next)
	}
	*next++
	l.delivered++
	if r.at >= l.from {
		l.latency.add(now - r.at)
	}
	slot := l.slot(r.pub, r.seq)
	if l.counts[slot]++; l.counts[slot] == uint32(l.subs) {
		l.finish(r.pub)
	}
	return nil
}

// finish closes the oldest messages everybody has.
func (l *ledger) finish(pub int) {
	for l.done[pub] < l.sent[pub] && l.counts[l.slot(pub, l.done[pub])] == uint32(l.subs) {
		l.done[pub]++
		l.open--
	}
}

// answered closes a publisher's messages up to n when there is nobody to
// deliver to, so that publishing alone can be measured.
func (l *ledger) answered(pub int, n uint32) {
	if l.subs == 0 {
		l.open -= int(n - l.done[pub])
		l.done[pub] = n
	}
}

// missing says what has not arrived.
func (l *ledger) missing() error {
	for i, next := range l.next {
		if sub, pub := i/l.pubs, i%l.pubs; next < l.sent[pub] {
			return fmt.Errorf("subscriber %d has %d of publisher %d's %d messages (%d messages are incomplete)", sub, next, pub, l.sent[pub], l.open)
		}
	}
	return nil
}
