package fanout

import (
	"errors"
	"strconv"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// The encodings of an item.
const (
	formatChunk hub.Format = iota // one HTTP/1.1 chunk
	formatRaw                     // the content alone: HTTP/1.0, HTTP/2, net/http
	formatFrame                   // one WebSocket frame
)

// errClosed is the cause of a stream that a publisher has closed.
var errClosed = errors.New("closed by publisher")

// item is a published item with its bytes, encoded once for all who get it.
type item struct {
	*grip.Item
	chunk []byte // framed content; raw is a part of it
	raw   []byte
	frame []byte // the WebSocket frame
}

func newItem(it *grip.Item) *item {
	v := &item{Item: it, frame: messageFrame(it.WSMessage)}
	if s := it.HTTPStream; s != nil && s.Action == grip.Send {
		v.chunk, v.raw = encodeChunk(s.Content)
	}
	return v
}

// encodeChunk frames content as one HTTP/1.1 chunk (RFC 9112, 7.1) and returns
// the frame and the content inside it. Empty content has no frame: a chunk of
// length zero would end the body.
func encodeChunk(content []byte) (chunk, raw []byte) {
	if len(content) == 0 {
		return nil, nil
	}
	chunk = make([]byte, 0, len(content)+12)
	chunk = strconv.AppendUint(chunk, uint64(len(content)), 16)
	chunk = append(chunk, "\r\n"...)
	start := len(chunk)
	chunk = append(chunk, content...)
	raw = chunk[start:len(chunk):len(chunk)]
	return append(chunk, "\r\n"...), raw
}

// encode is the hub's Encode: what a plain stream gets of an item.
func encode(v *item, f hub.Format) ([]byte, error) {
	if f == formatFrame {
		return encodeFrame(v)
	}
	s := v.HTTPStream
	if s == nil {
		return nil, nil
	}
	if s.Action == grip.Close {
		return nil, errClosed
	}
	if f == formatRaw {
		return v.raw, nil
	}
	return v.chunk, nil
}

// encodeFrame is encode for sockets. What asks for more than a write is left to
// the socket itself.
func encodeFrame(v *item) ([]byte, error) {
	switch w := v.WSMessage; {
	case w == nil:
		return nil, nil
	case w.Action == grip.Close:
		return nil, hub.ErrLast
	case w.Action == grip.Refresh:
		return nil, hub.ErrAttend
	}
	return v.frame, nil
}

// size is what an item keeps alive, roughly.
func size(v *item) int { return 256 + len(v.chunk) + len(v.frame) }

// frame encodes content for a stream of format f.
func frame(content []byte, f hub.Format) []byte {
	chunk, raw := encodeChunk(content)
	if f == formatRaw {
		return raw
	}
	return chunk
}
