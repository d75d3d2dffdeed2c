package fanout

import (
	"bytes"
	"io"
	"net/http"
)

// maxKept is how many bytes of a request's body are kept, so that the request can
// be sent again (grip.md, 1.5).
const maxKept = 100_000

// kept is a request's body that remembers itself as long as it is small. A nil
// kept is an empty body.
type kept struct {
	from io.Reader
	read []byte
	over bool
}

// Read implements io.Reader.
func (k *kept) Read(p []byte) (int, error) {
	n, err := k.from.Read(p)
	switch {
	case k.over:
	case len(k.read)+n > maxKept:
		k.over, k.read = true, nil
	default:
		k.read = append(k.read, p[:n]...)
	}
	return n, err
}

// whole reads what the Handler has left, and reports whether all of the body is
// there to be sent again.
func (k *kept) whole() bool {
	if k == nil {
		return true
	}
	_, err := io.Copy(io.Discard, io.LimitReader(k, maxKept+1))
	return err == nil && !k.over
}

// again is the body from its start. It must be whole.
func (k *kept) again() io.Reader {
	if k == nil {
		return http.NoBody
	}
	return bytes.NewReader(k.read)
}
