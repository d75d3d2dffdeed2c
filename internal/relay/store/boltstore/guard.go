package boltstore

import (
	"errors"
	"os"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// guarded runs f, which works on bbolt's pages. checkPages has found them sound,
// but a disk can fail later, and bbolt then panics, or faults where the mapped
// file cannot be read. That is a fact about the file and no programming mistake,
// so it becomes an error here.
func guarded(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			err = damaged("pages", "%v", r)
		}
	}()
	return f()
}

// boltWait bounds the wait for a tool that inspects the file with bbolt itself
// and knows nothing of our lock.
const boltWait = 100 * time.Millisecond

// openBolt checks the pages of the database at path and opens it. bbolt would
// make a missing or empty file into a new database; here it must be there.
func openBolt(path string) (*bolt.DB, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	opts := boltOptions()
	opts.OpenFile = func(name string, flag int, perm os.FileMode) (*os.File, error) {
		return os.OpenFile(name, flag&^os.O_CREATE, perm)
	}
	var db *bolt.DB
	err := guarded(func() (err error) {
		db, err = bolt.Open(path, 0o600, opts)
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, ErrLocked
	}
	return db, err
}

func boltOptions() *bolt.Options {
	// The map keeps finding a free page cheap in a file with many of them.
	return &bolt.Options{Timeout: boltWait, FreelistType: bolt.FreelistMapType}
}
