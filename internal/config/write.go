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
	// abandoned is the age at which a file half written is taken for one whose
	// writer has died.
	abandoned = 30 * time.Second
)

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
		busy := errors.Is(err, errMoved) || errors.Is(err, fs.ErrExist)
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

// writeAtomic puts text in place of old: a reader sees one or the other. The new
// file has a fixed name, so that of two writers one gets fs.ErrExist and cannot
// come between the other's look at the old file and the rename.
func writeAtomic(path, old, text string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path, dir = target, filepath.Dir(target) // a linked file is changed, not unlinked
	}
	fresh := filepath.Join(dir, "."+filepath.Base(path)+".new")
	f, err := createAlone(fresh)
	if err != nil {
		return err
	}
	if err := replace(f, path, old, text); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return nil
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

// createAlone makes a file that nobody else may be writing.
func createAlone(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > abandoned {
		_ = os.Remove(path) // whether that was possible shows next
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
