package sse

import (
	"bytes"
	"errors"
	"io"
)

var errLineTooLong = errors.New("line too long")

const (
	// readSize is the least room offered to a read.
	readSize = 4096
	// idleReads is how many reads may bring neither bytes nor an error.
	idleReads = 100
)

var byteOrderMark = []byte("\uFEFF")

// lines cuts a stream at CR, LF and CRLF. A line is given out when its first
// end byte is there; whether an LF follows a CR is found out later.
type lines struct {
	src io.Reader

	buf     []byte // bytes read; those before start are used up
	start   int
	scanned int // bytes behind start known to hold no line end
	skipLF  bool
	midway  bool // some line was given out, so a byte order mark is past
	err     error
}

// pending reports whether a line was begun and not ended.
func (l *lines) pending() bool { return len(l.buf) > l.start }

// next returns the next line without its end, at most limit bytes of it. It is
// valid until the following call.
func (l *lines) next(limit int, received func(int)) ([]byte, error) {
	for {
		if line, ok := l.cut(); ok {
			if len(line) > limit {
				return nil, errLineTooLong
			}
			return l.withoutMark(line), nil
		}
		if len(l.buf)-l.start > limit {
			return nil, errLineTooLong
		}
		if err := l.fill(received); err != nil {
			return nil, err
		}
	}
}

// cut takes a whole line out of the buffer, if one is there.
func (l *lines) cut() ([]byte, bool) {
	if l.skipLF && l.pending() {
		l.skipLF = false
		if l.buf[l.start] == '\n' {
			l.start++
		}
	}
	rest := l.buf[l.start:]
	end := lineEnd(rest[l.scanned:])
	if end < 0 {
		l.scanned = len(rest)
		return nil, false
	}
	end += l.scanned
	l.skipLF = rest[end] == '\r'
	l.start, l.scanned = l.start+end+1, 0
	return rest[:end], true
}

// lineEnd is the index of the first CR or LF, or -1.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

func (l *lines) withoutMark(line []byte) []byte {
	if l.midway {
		return line
	}
	l.midway = true
	return bytes.TrimPrefix(line, byteOrderMark)
}

// fill reads once more, behind the unfinished line, which is moved to the
// front. Bytes that come together with an error are used before it is reported.
func (l *lines) fill(received func(int)) error {
	if l.start > 0 {
		l.buf = append(l.buf[:0], l.buf[l.start:]...)
		l.start = 0
	}
	for range idleReads {
		if l.err != nil {
			return l.err
		}
		var n int
		n, l.err = l.read()
		if n == 0 {
			continue
		}
		if received != nil {
			received(n)
		}
		return nil
	}
	return io.ErrNoProgress
}

func (l *lines) read() (int, error) {
	if cap(l.buf)-len(l.buf) < readSize {
		l.buf = append(make([]byte, 0, 2*cap(l.buf)+readSize), l.buf...)
	}
	n, err := l.src.Read(l.buf[len(l.buf):cap(l.buf)])
	l.buf = l.buf[:len(l.buf)+n]
	return n, err
}
