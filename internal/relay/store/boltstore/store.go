package boltstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// Defaults of Options.
const (
	DefaultLockWait   = time.Second
	DefaultPurgeEvery = time.Minute
)

// Options of Open. The zero value means the defaults.
type Options struct {
	// Limits bounds the file and the memory alike. A file that holds more than
	// they allow is loaded whole and takes no further topics or keys.
	Limits store.Options
	// LockWait is how long Open waits for another process to let go of the
	// directory. Zero means DefaultLockWait.
	LockWait time.Duration
	// PurgeEvery is the time between two looks for slots whose linger is over.
	// Zero means DefaultPurgeEvery.
	PurgeEvery time.Duration
}

// Store is a store.Store and a store.Archive in one file.
type Store struct {
	// Static after Open. table and keys have their own locks for readers.
	path       string
	lock       io.Closer
	table      *store.Table
	keys       *store.Keyring
	unreadable []string
	purgeEvery time.Duration
	queue      chan *request // unbuffered: what was sent will be answered
	quit       chan struct{} // closed by the first Close
	gone       chan struct{} // closed by the committer when it ends
	once       sync.Once

	// Owned by the committer after Open.
	db     *bolt.DB
	tally  tally
	failed error // why nothing more is written; nil while all is well
}

// Open opens the store in dir, which it creates if need be, and checks all of
// it. It fails with ErrLocked, ErrExposed, a *CorruptError, the cause of ctx, or
// what the system said. The caller ends the store with Close.
//
// The time it takes grows with the file: some tens of milliseconds for ten
// thousand short messages. ctx ends only the wait for the lock.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	held, err := lock(ctx, filepath.Join(dir, lockFile), cmp.Or(o.LockWait, DefaultLockWait))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, dataFile)
	db, c, err := openFile(path, o.Limits)
	if err != nil {
		held.Close()
		return nil, inFile(path, "open", err)
	}
	s := &Store{
		path: path, lock: held, db: db, tally: c.tally,
		table: c.table, keys: c.keys, unreadable: c.unreadable,
		purgeEvery: cmp.Or(o.PurgeEvery, DefaultPurgeEvery),
		queue:      make(chan *request), quit: make(chan struct{}), gone: make(chan struct{}),
	}
	go s.run() // the committer: ended and awaited by Close
	return s, nil
}

// Unreadable names the records whose checksum was wrong when the file was
// opened: "r:" and the topic, or a key id. They answer store.ErrUnreadable until
// they are deleted, or in the case of a key replaced.
func (s *Store) Unreadable() []string { return slices.Clone(s.unreadable) }

// Put stores e as the topic's newest message and returns when it is on the disk,
// see store.Store.
func (s *Store) Put(ctx context.Context, t pubsub.Topic, e store.Entry) (pubsub.Version, error) {
	if err := store.CheckEntry(t, e); err != nil {
		return pubsub.Version{}, err
	}
	e.Data = bytes.Clone(e.Data)
	var v pubsub.Version
	err := s.do(ctx, len(e.Data), func(b *batch) (err error) {
		v, err = b.put(t, e)
		return err
	})
	if err != nil {
		return pubsub.Version{}, err // v may still be written to if ctx has ended
	}
	return v, nil
}

// Get returns the topic's slot unless after covers it, see store.Store. It does
// not touch the disk.
func (s *Store) Get(ctx context.Context, t pubsub.Topic, after pubsub.Version) (store.Slot, error) {
	if ctx.Err() != nil {
		return store.Slot{}, context.Cause(ctx)
	}
	return s.table.Get(t, after)
}

// Delete removes the topic's slot, see store.Store.
func (s *Store) Delete(ctx context.Context, t pubsub.Topic) error {
	if err := store.CheckTopic(t); err != nil {
		return err
	}
	return s.do(ctx, 0, func(b *batch) error {
		b.delete(t)
		return nil
	})
}

// Records returns every slot, see store.Archive.
func (s *Store) Records(ctx context.Context) ([]*store.Record, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return s.table.Records(time.Now()), nil
}

// restoreChunk is how many records share a commit of Restore.
const restoreChunk = 256

// Restore stores records as they are, see store.Archive.
func (s *Store) Restore(ctx context.Context, records []*store.Record) error {
	for chunk := range slices.Chunk(records, restoreChunk) {
		size := 0
		for _, r := range chunk {
			if err := store.CheckRecord(r); err != nil {
				return err
			}
			size += len(r.Entry.Data)
		}
		if err := s.do(ctx, size, func(b *batch) error { return b.restore(chunk) }); err != nil {
			return err
		}
	}
	return nil
}

// Keys is the signing-key store.
func (s *Store) Keys() store.KeyStore { return keyStore{s.keys, s} }

// keyStore reads from memory, by way of the embedded Keyring, and writes through
// the committer.
type keyStore struct {
	*store.Keyring
	s *Store
}

// Put stores a key and returns when it is on the disk, see store.KeyStore.
func (k keyStore) Put(ctx context.Context, key store.Key) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	key.Secret = bytes.Clone(key.Secret)
	return k.s.do(ctx, len(key.Secret), func(b *batch) error { return b.putKey(key) })
}

// Delete removes a key, see store.KeyStore.
func (k keyStore) Delete(ctx context.Context, id string) error {
	if err := store.CheckKeyID(id); err != nil {
		return err
	}
	return k.s.do(ctx, 0, func(b *batch) error { return b.deleteKey(id) })
}

// Close finishes the commit under way, refuses what waits for the next one, and
// lets go of the directory. Closing twice is harmless.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.quit)
		<-s.gone
		err = errors.Join(s.db.Close(), s.lock.Close())
	})
	return inFile(s.path, "close", err)
}
