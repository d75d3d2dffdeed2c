package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	bolt "go.etcd.io/bbolt"

	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// The files of a data directory.
const (
	dataFile = "relay.db"
	lockFile = "relay.lock"
	// freshSuffix marks a file that is being built and will take the place of the
	// one without it. One that is found was left by a process that died; it holds
	// nothing that is not in the other.
	freshSuffix = ".new"
)

// openFile opens the data file at path, or creates it if there is none, and
// loads what it holds. The caller holds the lock.
func openFile(path string, limits store.Options) (*bolt.DB, *contents, error) {
	if err := remove(path + freshSuffix); err != nil {
		return nil, nil, err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = create(path)
	case err == nil:
		err = checkMode(info)
	}
	if err != nil {
		return nil, nil, err
	}
	db, err := openBolt(path)
	if err != nil {
		return nil, nil, err
	}
	c, err := load(db, limits)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	if c.worthCompacting(info) {
		return compact(db, c, limits)
	}
	return db, c, nil
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// checkMode refuses a file of secrets that others can read. Windows has no such
// bits; there the directory's own rules apply.
func checkMode(info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%w (mode %04o, wanted 0600)", ErrExposed, info.Mode().Perm())
	}
	return nil
}

// create makes an empty data file. It appears under its name only when it is
// complete, so that an empty or headless file is always damage and never the
// trace of a first start that was cut short.
func create(path string) error {
	db, err := bolt.Open(path+freshSuffix, 0o600, boltOptions())
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(furnish), db.Close()); err != nil {
		return err
	}
	return install(path)
}

// furnish puts into a new database what every data file has.
func furnish(tx *bolt.Tx) error {
	about, err := tx.CreateBucket([]byte(aboutBucket))
	for _, name := range []string{messagesBucket, keysBucket} {
		if err == nil {
			_, err = tx.CreateBucket([]byte(name))
		}
	}
	if err == nil {
		err = about.Put([]byte(stampItem), []byte(stamp))
	}
	if err != nil {
		return err
	}
	return tally{}.save(tx)
}

// install moves the finished fresh file to its place, for good.
func install(path string) error {
	if err := os.Rename(path+freshSuffix, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in dir survive a power cut. Windows cannot and need not.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// A file is compacted when it is this large and this many times as large as
// what it holds: copying then costs little beside what it gives back. Between
// openings a file does not shrink, but pages that fell free are used again.
const (
	compactSize  = 4 << 20
	compactRatio = 4
)

// worthCompacting decides over the file as it was found; nil if it was not.
// A damaged file is left as it is, for somebody to look at, and on Windows a
// file that is open cannot be replaced.
func (c *contents) worthCompacting(found fs.FileInfo) bool {
	return found != nil && len(c.unreadable) == 0 && runtime.GOOS != "windows" &&
		found.Size() >= compactSize && found.Size() > compactRatio*c.bytes
}

// compactChunk is how many bytes one transaction of a copy holds in memory.
const compactChunk = 4 << 20

// compact copies db to a new file, checks the copy and puts it in db's place.
// The old file is valid until the rename and the new one from then on. Nobody
// needs the copy, so without space for it db stays.
func compact(db *bolt.DB, c *contents, limits store.Options) (*bolt.DB, *contents, error) {
	path := db.Path()
	fresh, copied, err := copyTo(path+freshSuffix, db, limits)
	if err == nil && copied.tally != c.tally {
		err = errors.Join(errors.New("the copy differs"), fresh.Close())
	}
	if err != nil {
		if err := remove(path + freshSuffix); err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
		return db, c, nil
	}
	if err := errors.Join(install(path), db.Close()); err != nil {
		return nil, nil, errors.Join(err, fresh.Close())
	}
	return fresh, copied, nil
}

// copyTo copies src to a new database at path and loads the copy. Only the end
// result is brought to the disk; a copy that was cut short is thrown away.
func copyTo(path string, src *bolt.DB, limits store.Options) (*bolt.DB, *contents, error) {
	dst, err := bolt.Open(path, 0o600, boltOptions())
	if err != nil {
		return nil, nil, err
	}
	dst.NoSync = true
	err = guarded(func() error { return bolt.Compact(dst, src, compactChunk) })
	if err := errors.Join(err, dst.Sync()); err != nil {
		return nil, nil, errors.Join(err, dst.Close())
	}
	dst.NoSync = false
	c, err := load(dst, limits)
	if err != nil {
		return nil, nil, errors.Join(err, dst.Close())
	}
	return dst, c, nil
}
