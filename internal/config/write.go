package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Bounds on waiting for another process that writes the same file.
const (
	writeTries = 200
	writePause = 10 * time.Millisecond
)

// ErrHeld says that another process has a lock.
var ErrHeld = errors.New("another process has the lock")

// errMoved means that the file changed between reading and writing it.
var errMoved = errors.New("the file changed meanwhile")

// change writes what edit returns and makes c that. If another process wrote the
// file since c was read, edit is asked again for what is there now, so that
// neither loses what it did.
func (c *Contexts) change(edit func(*Contexts) (*Contexts, error)) error {
	for try := 1; ; try++ {
		next, err := edit(c)
		if err != nil {
			return err
		}
		err = writeAtomic(c.Path, c.text, next.text)
		if err == nil {
			*c = *next
			return nil
		}
		busy := errors.Is(err, errMoved) || errors.Is(err, ErrHeld)
		if !busy || try == writeTries {
			return &Error{Reason: Unreadable, File: c.Path, Text: "cannot be written", Err: err}
		}
		time.Sleep(writePause)
		now, err := ReadContexts(c.Path)
		if err != nil {
			return err
		}
		*c = *now
	}
}

// writeAtomic puts text in place of old: a reader sees one or the other. Of two
// writers one gets ErrHeld and cannot come between the other's look at the old file
// and the rename. The lock is the system's and ends with its process: one that was
// killed is in nobody's way.
func writeAtomic(path, old, text string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path, dir = target, filepath.Dir(target) // a linked file is changed, not unlinked
	}
	lock, err := OpenLocked(filepath.Join(dir, "."+filepath.Base(path)+".lock"))
	if err != nil {
		return err
	}
	fresh := filepath.Join(dir, "."+filepath.Base(path)+".new")
	f, err := createAlone(fresh)
	if err == nil {
		if err = replace(f, path, old, text); err != nil {
			err = errors.Join(err, os.Remove(fresh))
		}
	}
	return errors.Join(err, lock.Close())
}

// replace writes f and renames it to path if that is still old.
func replace(f *os.File, path, old, text string) error {
	if err := writeAndClose(f, text); err != nil {
		return err
	}
	now, err := readBounded(path, maxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if now != old {
		return errMoved
	}
	return os.Rename(f.Name(), path)
}

// createAlone makes a file anew: what a writer who died has left may not be
// readable by its owner only.
func createAlone(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

func writeAndClose(f *os.File, text string) error {
	_, err := f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
