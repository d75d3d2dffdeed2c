package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// Bounds of one commit. Together they bound how long a writer that comes late
// waits for the one under way.
const (
	commitRequests = 256
	commitBytes    = 4 << 20
	purgeChunk     = 256
	// purgePause lets the writers that wait go ahead of the next chunk.
	purgePause = 20 * time.Millisecond
)

// request is one writer's wish. The committer applies it to a batch, writes the
// batch, and answers.
type request struct {
	size  int // payload bytes
	apply func(*batch) error
	err   error         // set before done is closed
	done  chan struct{} // closed by the committer
}

// do hands a change to the committer and waits until it is on the disk.
func (s *Store) do(ctx context.Context, size int, apply func(*batch) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r := &request{size: size, apply: apply, done: make(chan struct{})}
	select {
	case s.queue <- r:
	case <-s.quit:
		return store.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("wait for the disk: %w", context.Cause(ctx))
	}
}

// run is the committer, the only writer of the file and of what readers see. It
// ends when Close closes quit.
func (s *Store) run() {
	defer close(s.gone)
	purge := time.NewTimer(s.purgeEvery)
	defer purge.Stop()
	for {
		select {
		case r := <-s.queue:
			s.commit(s.gather(r))
		case <-purge.C:
			purge.Reset(s.purge())
		case <-s.quit:
			return
		}
	}
}

// gather takes the other writers that wait already. It lets them run once first:
// those whose last write was just acknowledged are about to come with the next,
// and a commit without them costs as much as one with them.
func (s *Store) gather(first *request) []*request {
	runtime.Gosched()
	all, size := []*request{first}, first.size
	for len(all) < commitRequests && size < commitBytes {
		select {
		case r := <-s.queue:
			all, size = append(all, r), size+r.size
		default:
			return all
		}
	}
	return all
}

// commit writes what the requests ask for and answers each. A request that is
// refused leaves nothing in the batch.
func (s *Store) commit(all []*request) {
	b := newBatch(s.table, s.keys, time.Now())
	for _, r := range all {
		r.err = r.apply(b)
	}
	err := s.write(b)
	for _, r := range all {
		if r.err == nil {
			r.err = err
		}
		close(r.done)
	}
}

// purge removes some slots whose linger is over and returns when to look again.
func (s *Store) purge() (pause time.Duration) {
	b := newBatch(s.table, s.keys, time.Now())
	n := b.forget(purgeChunk)
	if err := s.write(b); err != nil || n < purgeChunk {
		// An error is the next writer's to report. What could not be removed is
		// as good as gone for readers.
		return s.purgeEvery
	}
	return purgePause
}

// write brings a batch to the disk and then shows it to readers.
func (s *Store) write(b *batch) error {
	if b.empty() {
		return nil
	}
	if s.failed != nil {
		return fmt.Errorf("store no longer writes: %w", s.failed)
	}
	t := s.tally
	err := guarded(func() error {
		return s.db.Update(func(tx *bolt.Tx) error { return b.save(tx, &t) })
	})
	if err != nil {
		return s.fail(err)
	}
	s.tally = t
	b.show()
	return nil
}

// fail decides whether to go on after err. A write that was refused, for want of
// space for example, changed nothing, and the next may succeed. After anything
// else nobody knows what is on the disk: when a sync fails, the system may drop
// the data and call the next sync a success. Nothing is written until somebody
// has opened, and so checked, the file anew.
func (s *Store) fail(err error) error {
	refused := refusedWrite(err)
	err = inFile(s.path, "write", err)
	if !refused {
		s.failed = err
	}
	return err
}

// refusedWrite reports whether err comes from writing to or enlarging the file,
// before anything was synced.
func refusedWrite(err error) bool {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Op == "write"
	}
	return strings.HasPrefix(err.Error(), "file resize error") // bbolt wraps the cause as text
}
