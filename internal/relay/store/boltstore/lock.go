package boltstore

import (
	"context"
	"errors"
	"os"
	"time"
)

// errBusy is what tryLock says when another process holds the lock.
var errBusy = errors.New("lock is held")

// lockPoll is how often a held lock is tried again.
const lockPoll = 20 * time.Millisecond

// lock waits at most wait for the lock file. The lock ends with the returned
// file or with the process, however it ends. It is a file of its own, which is
// never replaced, because the data file is: somebody waiting for that one would
// in the end hold the lock of a file that is no longer there.
func lock(ctx context.Context, path string, wait time.Duration) (*os.File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, ErrLocked)
	defer cancel()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		f, err := tryLock(path)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, errBusy):
			return nil, inFile(path, "lock", err)
		}
		select {
		case <-ctx.Done():
			return nil, inFile(path, "lock", context.Cause(ctx))
		case <-poll.C:
		}
	}
}
