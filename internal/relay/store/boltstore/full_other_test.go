//go:build !darwin && !linux

package boltstore

import "errors"

// childFills needs a limit on the size of files, which this system does not have.
func childFills(string) error { return errors.ErrUnsupported }
