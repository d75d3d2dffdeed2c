package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
)

// Conditions that callers of Open branch on, beside *CorruptError.
var (
	// ErrLocked says that another process, most likely another relay, has the
	// directory open.
	ErrLocked = errors.New("another relay is using it")
	// ErrExposed says that users other than the owner may read or write the data
	// file, which holds secrets.
	ErrExposed = errors.New("data file is open to other users")
)

// CorruptError says that a data file is damaged or is not one of ours. Nothing
// was changed in it.
type CorruptError struct {
	// Path is the data file.
	Path string
	// Check is what the file did not pass, in a few words: "format stamp".
	Check string
	// Err is the detail.
	Err error
}

// Error names the file, the check and the detail.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("data file %s is damaged or foreign: %s: %v", e.Path, e.Check, e.Err)
}

// Unwrap returns the detail.
func (e *CorruptError) Unwrap() error { return e.Err }

// damage is a failed check before it is known in which file.
type damage struct {
	check string
	err   error
}

func damaged(check, format string, args ...any) error {
	return &damage{check: check, err: fmt.Errorf(format, args...)}
}

func (d *damage) Error() string { return fmt.Sprintf("%s: %v", d.check, d.err) }

func (d *damage) Unwrap() error { return d.err }

// inFile gives err the file: damage becomes a *CorruptError, the rest is wrapped.
// What the system says names a file already.
func inFile(path, verb string, err error) error {
	var d *damage
	var sys *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &d):
		return &CorruptError{Path: path, Check: d.check, Err: d.err}
	case errors.As(err, &sys):
		return fmt.Errorf("%s store: %w", verb, err)
	}
	return fmt.Errorf("%s store %s: %w", verb, path, err)
}
