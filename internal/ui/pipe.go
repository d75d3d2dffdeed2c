package ui

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"syscall"
)

// ErrReaderGone is what a write to Streams.Out fails with when its reader has
// closed, as head does. It is no failure of ours: a command returns it, or
// wraps it, and the process ends quietly with status 0.
var ErrReaderGone = errors.New("the reader of the output has closed it")

// product is stdout with the broken pipe told apart from a broken socket, whose
// error looks the same.
type product struct{ w io.Writer }

func (p product) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if brokenPipe(err) {
		err = fmt.Errorf("%w: %w", ErrReaderGone, err)
	}
	return n, err
}

func brokenPipe(err error) bool {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		return true
	}
	const errorBrokenPipe, errorNoData = syscall.Errno(109), syscall.Errno(232)
	return runtime.GOOS == "windows" && (errors.Is(err, errorBrokenPipe) || errors.Is(err, errorNoData))
}
