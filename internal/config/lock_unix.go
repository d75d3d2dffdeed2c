//go:build !windows

package config

import (
	"errors"
	"os"
	"syscall"
)

// OpenLocked opens a file, which is made if it is not there, and locks it until it
// is closed or the process ends. It does not wait: the error is ErrHeld if another
// process, or another call, has it.
func OpenLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrHeld
	}
	return nil, errors.Join(err, f.Close())
}
