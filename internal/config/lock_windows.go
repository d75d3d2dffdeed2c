package config

import (
	"errors"
	"os"
	"syscall"
)

// sharingViolation is what Windows says of a file that another process has opened
// for itself.
const sharingViolation syscall.Errno = 32

// OpenLocked opens a file, which is made if it is not there, so that nobody else can
// until it is closed or the process ends. It does not wait: the error is ErrHeld if
// another process, or another call, has it.
func OpenLocked(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const share = 0 // with nobody
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, share, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		return nil, ErrHeld
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}
